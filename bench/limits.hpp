// What this machine can do at best, measured: multiply-adds per second and bytes per second, on all threads.
// Depends on the standard library and Highway. Invariant: a limit is the best of many tries, so nothing beats it twice.
#pragma once

#include "case.hpp"

namespace bench {

/// f32 operations per second (a multiply-add is two) on `threads` threads, measured once.
double peak_flops(int threads);

/// Seconds it takes to read and write so many bytes with nothing to compute, at that footprint; measured once for each.
double stream_seconds(double read, double written, int threads);

/// Seconds of the cheapest op of the engine, without or with its backward pass.
double op_seconds(bool backward);

/// The least time for that work.
double limit_seconds(const Work& work, int threads);

}  // namespace bench
