// Inside the libtorch peer: its ops by name, and jobs that are more than one op. Depends on torch and peer.hpp.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "peer.hpp"

namespace bench {

using TorchOp = std::function<at::Tensor(const std::vector<at::Tensor>&, const std::vector<std::int64_t>&)>;
using TorchOps = std::map<std::string, TorchOp>;

const TorchOps& torch_ops();

at::Tensor tensor_of(const Array& a);
/// Networks, optimizers and chains; null for another name.
std::unique_ptr<PeerJob> make_torch_net(const PeerCall& call);

}  // namespace bench
