// Rows of training steps. Depends on nn, optim.
#include "case.hpp"

namespace bench {

void add_step_cases(std::vector<Case>&) {}
void add_convolution_cases(std::vector<Case>&) {}

}  // namespace bench
