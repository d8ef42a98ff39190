// Matrix times vector: the path of products with one row or one column, bound by reading the matrix once.
// Depends on gemm_driver; internal to the kernels. Invariant: the chain of an element follows from k alone
// (gemm_vector_kernels.hpp; segments of k are added in rising order), whichever axis of the matrix is dense.
#pragma once

#include <thalweg/ops/kernels/gemm_driver.hpp>

namespace thalweg::kernels {

/// The one row of C: y_j = act(y_j or 0 + sum over p of w(j, p) x(p) + bias), with problem.m = 1 and the
/// lanes of w the n elements of the row. Reads w once, along whichever axis is dense. Parallel unless
/// `serial`; k >= 1. Throws MemoryError only, before C is written, and nothing when serial.
template <class T>
void gemm_vector(const GemmProblem<T>& problem, const GemmOperand<T>& w, const T* x, std::int64_t x_step,
                 bool serial);

}  // namespace thalweg::kernels
