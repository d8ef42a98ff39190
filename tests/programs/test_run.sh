#!/bin/sh
# What ./run promises where it cannot do its work: run on a copy in a path with spaces, with a PATH that holds only
# what a bare system has. usage: test_run.sh SOURCE_DIR WORK_DIR
set -eu
source=$1
work=$2/'with space'
rm -rf "$2"
mkdir -p "$work/tree" "$work/bin"
cp "$source/run" "$work/tree/run"
subset=$source/examples/data/mnist-subset

fail() { echo "FAILED: $*"; exit 1; }
for tool in sh dirname sha256sum mkdir mktemp rm mv cp cat gzip tar find env nproc md5sum; do
  ln -s "$(command -v $tool)" "$work/bin/$tool"
done
fake() { printf '#!/bin/sh\n%s\n' "$2" >"$work/bin/$1"; chmod +x "$work/bin/$1"; }
run() { PATH=$work/bin "$work/tree/run" "$@" >"$work/out" 2>&1; }
expect() { # STATUS TEXT COMMAND...
  want=$1 text=$2
  shift 2
  status=0
  "$@" || status=$?
  [ "$status" = "$want" ] || { cat "$work/out"; fail "$*: exit $status, wanted $want"; }
  grep -qF -e "$text" "$work/out" || { cat "$work/out"; fail "$*: no '$text' in the output"; }
}

expect 2 "unknown command 'mnits'" run mnits
expect 0 './run COMMAND' run --help
expect 2 'usage: ./run data mnist' run data cifar

# Neither root nor sudo: the exact line to type, and exit status 2.
fake id 'echo 1000'
fake apt-get 'exit 1'
fake dpkg-query 'echo installed'
fake c++ ''
fake cmake ''
expect 2 'sudo apt-get install -y --no-install-recommends ninja-build' run build
fake ninja ''
fake dpkg-query 'case "$*" in *libfmt-dev) exit 1 ;; *) printf installed ;; esac'
expect 2 'sudo apt-get install -y --no-install-recommends libfmt-dev' run deps

# Root, lists out of date: update once, then install.
fake id 'echo 0'
fake apt-get "echo \"apt-get \$*\" >>'$work/log'; case \"\$*\" in '-qq -y update') : >'$work/fresh' ;; esac; [ -f '$work/fresh' ]"
expect 0 'installing libfmt-dev' run deps
[ "$(grep -c update "$work/log")" = 1 ] || fail 'apt-get update once'
fake dpkg-query 'echo installed'
: >"$work/log"
run deps && run build
[ ! -s "$work/log" ] || fail 'nothing to install, yet apt-get was called'

# Asking for help fetches nothing, wherever among the options it stands.
mkdir -p "$work/tree/build/release"
fake real-mnist 'echo "mnist $*"'
mv "$work/bin/real-mnist" "$work/tree/build/release/mnist"
for option in --help -h; do
  expect 0 "mnist --epochs 1 $option" run mnist --epochs 1 $option
  [ ! -e "$work/tree/data-cache" ] || fail "./run mnist $option touched data-cache"
done

# No source of data: one line, status 1, nothing left behind but the note that spares the next call the wait.
expect 1 'no source of mnist' run data mnist
[ "$(cd "$work/tree/data-cache/mnist" && echo *)" = no-source ] || fail 'something was left in data-cache/mnist'
# A file whose hash is wrong is never taken, whether it is there already or would be unpacked.
mkdir "$work/data"
for name in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do
  cp "$subset/$name-ubyte.gz" "$work/data/"
done
expect 1 'no source of mnist' run data mnist --data-dir "$work/data"
[ ! -f "$work/data/train-images-idx3-ubyte" ] || fail 'a file with a wrong hash was kept'
# CIFAR-10: files that are there are enough; an archive with another MD5 is not unpacked.
expect 1 'no source of cifar10' run data cifar10
rm -rf "$work/tree/data-cache/cifar10"
fake curl 'for last; do :; done; echo "not the archive" >"$last"'
expect 1 'another MD5' run data cifar10
[ "$(cd "$work/tree/data-cache/cifar10" && echo *)" = no-source ] || fail 'something was left in data-cache/cifar10'
mkdir -p "$work/cifar/cifar-10-batches-bin"
for name in data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5 test_batch; do
  : >"$work/cifar/cifar-10-batches-bin/$name.bin"
done
expect 0 'cifar10 is in' run data cifar10 --data-dir "$work/cifar"
echo 'run: all expectations met'
