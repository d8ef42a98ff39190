#!/bin/sh
# What `cifar10` promises as a program, on made-up images: the same parameters at any number of threads, and after being
# killed with -9 at whatever moment and resumed, mid-epoch included. usage: test_cifar10.sh PROGRAM WORK_DIR
set -eu
program=$1
work=$2
rm -rf "$work"
mkdir -p "$work/data"
cd "$work"

fail() { echo "FAILED: $*"; exit 1; }

# Six sparse files of 10,000 black images; the first of them get a label and a bright bar that goes with it.
for name in data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5 test_batch; do
  truncate -s 30730000 "data/$name.bin"
done
i=0
while [ "$i" -lt 640 ]; do
  label=$((i % 10))
  {
    # shellcheck disable=SC2059  # the format is the byte
    printf "\\$(printf %o "$label")"
    head -c $((label * 96 + i % 7)) /dev/zero
    head -c 96 /dev/zero | tr '\0' '\310'
  } | dd of=data/data_batch_1.bin bs=3073 seek="$i" conv=notrunc 2>/dev/null
  i=$((i + 1))
done

flags='--data-dir data --model mlp --limit 640 --epochs 3 --batch-size 64'
# shellcheck disable=SC2086  # several words
train() { "$program" $flags --json "$@"; }
hash_in() { sed -n 's/.*"event":"result".*"params_hash":"\([0-9a-f]*\)".*/\1/p' "$1"; }

train whole.json --threads 1 --checkpoints whole --save-every 3 --quiet
whole=$(hash_in whole.json)
[ -n "$whole" ] || fail 'no hash of the parameters in the result'
[ "$(grep -c '"event":"epoch"' whole.json)" = 3 ] || fail 'not a line for each of the 3 epochs'
train plain.json --threads 2 --checkpoints none --no-augment --quiet
[ "$(hash_in plain.json)" != "$whole" ] || fail '--no-augment changes nothing'

kills=0
resume=
for delay in 0.15 0.2 0.25 0.3 0.35 0.4 0.5 0.6 0.8 30; do
  # Not by train: the process to kill must be the program itself.
  # shellcheck disable=SC2086
  "$program" $flags --json part.json --threads 2 --checkpoints part --save-every 3 $resume >out 2>err &
  running=$!
  (sleep "$delay"; kill -9 "$running" 2>/dev/null) &
  killer=$!
  status=0
  wait "$running" 2>/dev/null || status=$?
  kill "$killer" 2>/dev/null || true
  resume=--resume
  if [ "$status" = 0 ]; then break; fi
  [ "$status" = 137 ] || { cat err; fail "exit $status after a kill"; }
  kills=$((kills + 1))
done
[ "$status" = 0 ] || fail 'it never came to its end'
[ "$kills" -gt 0 ] || fail 'it was over before the first kill'
[ "$(hash_in part.json)" = "$whole" ] || fail "killed $kills times: $(hash_in part.json), uninterrupted: $whole"
[ "$(grep -c '"event":"epoch"' part.json)" = 3 ] || fail 'the resumed runs do not log each epoch once'
echo "cifar10: killed $kills times, hash $whole"

# A damaged newest checkpoint is skipped and named; what is left of the run is done again.
newest=$(find part -name '*.safetensors' | sort | tail -n 1)
printf 'x' | dd of="$newest" bs=1 seek=200000 conv=notrunc 2>/dev/null
train part.json --checkpoints part --resume >out 2>err || { cat err; fail 'a damaged checkpoint ends the run'; }
grep -q "$newest" err out || { cat err out; fail 'the damaged checkpoint is not named'; }
[ "$(hash_in part.json)" = "$whole" ] || fail 'after a damaged checkpoint the parameters differ'

# Other flags than those of the run that is resumed are refused.
for change in 's/$/ --seed 5/--seed' 's/$/ --lr 0.01/--lr' 's/$/ --no-augment/transform' 's/mlp/vgg/--model' \
  's/size 64/size 32/batch_size' 's/limit 640/limit 320/examples'; do
  name=${change##*/}
  # shellcheck disable=SC2046
  if "$program" $(echo "$flags" | sed "${change%"$name"}") --checkpoints part --resume >out 2>err; then
    fail "--resume with another $name"
  fi
  grep -qe "nothing was loaded.*$name" err || { cat err; fail "the message does not name $name"; }
done

# --load takes the parameters from a checkpoint and from what --save wrote: the same first epoch from either.
newest=$(find whole -name '*.safetensors' | sort | tail -n 1)
train load1.json --checkpoints whole --resume --save weights.safetensors --quiet 2>err
[ "$(hash_in load1.json)" = "$whole" ] || fail 'the finished run has other parameters'
flags='--data-dir data --model mlp --limit 128 --epochs 1 --checkpoints none'
train load1.json --load weights.safetensors --quiet
train load2.json --load "$newest" --quiet
[ "$(hash_in load1.json)" = "$(hash_in load2.json)" ] || fail '--load of a checkpoint'
train load2.json --quiet
[ "$(hash_in load1.json)" != "$(hash_in load2.json)" ] || fail '--load changes nothing'

# Without any flag for it, the state is saved within an epoch by the clock, and a kill there loses no more than that.
for limit in 1000 4000 16000; do
  rm -rf cifar10-checkpoints
  "$program" --data-dir data --model mlp --limit "$limit" --epochs 1 --batch-size 1 --json clock.json >out 2>err &
  running=$!
  while kill -0 "$running" 2>/dev/null && [ -z "$(find cifar10-checkpoints -name '*.safetensors' 2>/dev/null)" ]; do
    sleep 0.05
  done
  kill -9 "$running" 2>/dev/null || true
  wait "$running" 2>/dev/null || true
  # On a quick machine the epoch was at its end; then with more images.
  [ -e "$(printf 'cifar10-checkpoints/checkpoint-%010d.safetensors' "$limit")" ] || break
done
flags="--data-dir data --model mlp --limit $limit --epochs 1 --batch-size 1"
train clock.json --resume >out 2>err || { cat err; fail 'no end after a kill within the epoch'; }
step=$(sed -n 's/.*resumed from .*(step \([0-9]*\)).*/\1/p' err)
case $((${step:-0} > 0 && ${step:-0} < limit)) in 0) cat err; fail "resumed from step '$step' of $limit" ;; esac
train once.json --checkpoints none --quiet
[ "$(hash_in clock.json)" = "$(hash_in once.json)" ] || fail 'saving by the clock changes the parameters'
echo "cifar10: by the clock, resumed from step $step of $limit"
echo 'cifar10: all expectations met'
