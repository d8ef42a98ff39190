// Making and freeing of storages. Depends on storage.hpp and the allocator.
#include <thalweg/autograd/tensor/storage.hpp>

#include <new>
#include <utility>

#include <thalweg/autograd/base/memory.hpp>

namespace thalweg {

Ref<Storage> Storage::make(std::size_t bytes) {
  Storage* s = new (mem::allocate(sizeof(Storage) + bytes)) Storage;
  s->data = s + 1;
  s->bytes = bytes;
  return Ref<Storage>::adopt(s);
}

Ref<Storage> Storage::wrap(void* data, std::size_t bytes, std::function<void(void*)> deleter) {
  auto* owned = new std::function<void(void*)>(std::move(deleter));
  Storage* s = nullptr;
  try {
    s = new (mem::allocate(sizeof(Storage))) Storage;
  } catch (...) {
    delete owned;
    throw;
  }
  s->data = data;
  s->bytes = bytes;
  s->deleter = owned;
  return Ref<Storage>::adopt(s);
}

Ref<Storage> Storage::part(Ref<Storage> whole, void* data, std::size_t bytes) {
  Storage* s = new (mem::allocate(sizeof(Storage) + sizeof(whole))) Storage;
  new (s + 1) Ref<Storage>(std::move(whole));
  s->data = data;
  s->bytes = bytes;
  return Ref<Storage>::adopt(s);
}

void Storage::drop(Storage* s) noexcept {
  std::size_t block = sizeof(Storage) + s->bytes;
  if (s->deleter) {
    if (*s->deleter) (*s->deleter)(s->data);
    delete s->deleter;
    block = sizeof(Storage);
  } else if (s->data != s + 1) {
    reinterpret_cast<Ref<Storage>*>(s + 1)->~Ref();
    block = sizeof(Storage) + sizeof(Ref<Storage>);
  }
  s->~Storage();
  mem::release(s, block);
}

}  // namespace thalweg
