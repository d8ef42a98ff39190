#!/bin/sh
# Rebuilds examples/data/mnist-subset from the full files: the first 5,000 training and 1,000 test images.
# Output is a function of the input alone (gzip -n), so running it again changes nothing.
# usage: tools/make_mnist_subset.sh [DIR_WITH_THE_FOUR_IDX_FILES]
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
from=${1:-$root/data-cache/mnist}
to=$root/examples/data/mnist-subset

be32() { # a 32-bit big-endian integer, as IDX headers hold them
  # shellcheck disable=SC2059  # the format is the bytes themselves
  printf "$(printf '\\%03o\\%03o\\%03o\\%03o' $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255)))"
}

cut_file() { # NAME COUNT HEADER_BYTES BYTES_PER_ITEM: same magic and item shape, a smaller count
  {
    head -c 4 "$from/$1"
    be32 "$2"
    head -c "$3" "$from/$1" | tail -c +9
    tail -c +$(($3 + 1)) "$from/$1" | head -c $(($2 * $4))
  } | gzip -9n >"$to/$1.gz"
}

mkdir -p "$to"
cut_file train-images-idx3-ubyte 5000 16 784
cut_file train-labels-idx1-ubyte 5000 8 1
cut_file t10k-images-idx3-ubyte 1000 16 784
cut_file t10k-labels-idx1-ubyte 1000 8 1
