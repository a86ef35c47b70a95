// Device cuda:0 made of the host's memory, for a build of torch without CUDA: see README.md beside this file.
//
// torch dispatches to it as to a real one (autograd's threads, autocast, the allocators, copies); the kernels are the
// host's, called on the same memory. Whatever a real device refuses is refused.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <unordered_set>
#include <vector>

namespace {

using at::Tensor;

std::mutex mutex;
std::set<std::pair<const char*, const char*>> pinned;  // ranges of page-locked memory
std::unordered_set<std::string> kernels;               // operators that a CUDA build of torch has a kernel for
void (*on_wait)(const char*) = nullptr;                // told whenever a CUDA device would make the host wait
int64_t held = 0, peak = 0;                            // bytes of device memory

void waits(const char* what) {
  if (on_wait) on_wait(what);
}

// Copies to page-locked memory that nobody has waited for: (destination, what it will hold). Until then it holds 0xff.
std::vector<std::pair<Tensor, Tensor>> on_their_way;
size_t arrived = 0;  // how many have ever been taken from the list's front

// Let the first `count` copies that were ever begun arrive.
void arrive(size_t count) {
  std::vector<std::pair<Tensor, Tensor>> done;
  {
    std::lock_guard<std::mutex> lock(mutex);
    const auto number = std::min(on_their_way.size(), count > arrived ? count - arrived : 0);
    done.assign(on_their_way.begin(), on_their_way.begin() + number);
    on_their_way.erase(on_their_way.begin(), on_their_way.begin() + number);
    arrived += number;
  }
  for (auto& [to, values] : done) to.copy_(values);
}

void arrive_all() { arrive(SIZE_MAX); }

// ---- memory

void* allocate(size_t bytes) {
  void* p = nullptr;
  TORCH_CHECK(posix_memalign(&p, 512, std::max<size_t>(bytes, 1)) == 0, "stand-in GPU: out of memory");
  // what was there before is nobody's to rely on: NaN in every floating-point type
  std::fill_n(static_cast<unsigned char*>(p), bytes, 0xff);
  return p;
}

struct Block {
  void* memory;
  int64_t bytes;
};

void free_block(void* context) {
  auto* block = static_cast<Block*>(context);
  {
    std::lock_guard<std::mutex> lock(mutex);
    held -= block->bytes;
  }
  std::free(block->memory);
  delete block;
}

struct DeviceAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    auto* block = new Block{::allocate(bytes), static_cast<int64_t>(bytes)};
    std::lock_guard<std::mutex> lock(mutex);
    peak = std::max(peak, held += block->bytes);
    return {block->memory, block, &free_block, at::Device(at::kCUDA, 0)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
} device_allocator;

void free_pinned(void* context) {
  auto* block = static_cast<Block*>(context);
  {
    std::lock_guard<std::mutex> lock(mutex);
    const auto* p = static_cast<const char*>(block->memory);
    pinned.erase({p, p + block->bytes});
  }
  std::free(block->memory);
  delete block;
}

struct PinnedAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    auto* block = new Block{::allocate(bytes), static_cast<int64_t>(bytes)};
    const auto* p = static_cast<const char*>(block->memory);
    std::lock_guard<std::mutex> lock(mutex);
    pinned.insert({p, p + bytes});
    return {block->memory, block, &free_pinned, at::Device(at::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
} pinned_allocator;

// Random numbers of the device: the host's, which no program may rely on to be those of another device.
struct DeviceGenerator final : c10::GeneratorImpl {
  explicit DeviceGenerator(at::Generator numbers)
      : GeneratorImpl(at::Device(at::kCUDA, 0), c10::DispatchKeySet(c10::DispatchKey::CUDA)), numbers(std::move(numbers)) {}
  void set_current_seed(uint64_t seed) override { numbers.set_current_seed(seed); }
  void set_offset(uint64_t offset) override { numbers.set_offset(offset); }
  uint64_t get_offset() const override { return numbers.get_offset(); }
  uint64_t current_seed() const override { return numbers.current_seed(); }
  uint64_t seed() override { return numbers.seed(); }
  void set_state(const c10::TensorImpl& state) override { numbers.unsafeGetGeneratorImpl()->set_state(state); }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override { return numbers.unsafeGetGeneratorImpl()->get_state(); }
  DeviceGenerator* clone_impl() const override { return new DeviceGenerator(numbers.clone()); }
  at::Generator numbers;
};

struct Hooks final : at::CUDAHooksInterface {
  explicit Hooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  int getNumGPUs() const override { return 1; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex current_device() const override { return 0; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  at::Allocator* getPinnedMemoryAllocator() const override { return &pinned_allocator; }
  at::Allocator* getCUDADeviceAllocator() const override { return &device_allocator; }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override {
    static auto generator = getNewGenerator(0);
    return generator;
  }
  at::Generator getNewGenerator(c10::DeviceIndex) const override {
    return at::make_generator<DeviceGenerator>(at::make_generator<at::CPUGeneratorImpl>(c10::detail::getNonDeterministicRandom()));
  }
  void deviceSynchronize(c10::DeviceIndex) const override { arrive_all(); }
  bool isPinnedPtr(const void* data) const override {
    std::lock_guard<std::mutex> lock(mutex);
    return std::any_of(pinned.begin(), pinned.end(), [data](const auto& range) {
      return data >= range.first && data < range.second;
    });
  }
};

// One device with one stream, on which everything is done when it is asked for.
struct Guard final : c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::CUDA> {
  c10::Device getDevice() const override { return {at::kCUDA, 0}; }
  c10::Device exchangeDevice(c10::Device) const override { return {at::kCUDA, 0}; }
  c10::Stream getStream(c10::Device) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, {at::kCUDA, 0}); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, {at::kCUDA, 0}); }
  // an event is how many copies had been begun before it
  void record(void** event, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {
    std::lock_guard<std::mutex> lock(mutex);
    if (!*event) *event = new size_t;
    *static_cast<size_t*>(*event) = arrived + on_their_way.size();
  }
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void destroyEvent(void* event, c10::DeviceIndex) const noexcept override { delete static_cast<size_t*>(event); }
  void synchronizeEvent(void* event) const override { arrive(*static_cast<size_t*>(event)); }
  void synchronizeStream(const c10::Stream&) const override { arrive_all(); }
  void synchronizeDevice(c10::DeviceIndex) const override { arrive_all(); }
  void recordDataPtrOnStream(const c10::DataPtr&, const c10::Stream&) const override {}
};

// ---- operators

constexpr auto CUDA_KEYS = c10::DispatchKeySet(c10::DispatchKey::CUDA);

Tensor empty(c10::SymIntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
             std::optional<at::Device>, std::optional<bool> pin, std::optional<at::MemoryFormat> format) {
  TORCH_CHECK(!pin.value_or(false), "Only dense CPU tensors can be pinned");
  return at::detail::empty_generic(C10_AS_INTARRAYREF_SLOW(size), &device_allocator, CUDA_KEYS,
                                   c10::dtype_or_default(dtype), format);
}

Tensor empty_strided(c10::SymIntArrayRef size, c10::SymIntArrayRef stride, std::optional<at::ScalarType> dtype,
                     std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool> pin) {
  TORCH_CHECK(!pin.value_or(false), "Only dense CPU tensors can be pinned");
  return at::detail::empty_strided_generic(C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride),
                                           &device_allocator, CUDA_KEYS, c10::dtype_or_default(dtype));
}

// The device's memory as the host sees it. Nobody but the copies below looks at it.
Tensor on_host(const Tensor& t) {
  if (!t.is_cuda()) return t;
  auto* base = static_cast<char*>(t.storage().mutable_data());
  auto host = at::detail::make_tensor<c10::TensorImpl>(
      c10::Storage(c10::Storage::use_byte_size_t(), t.storage().nbytes(), c10::DataPtr(base, at::Device(at::kCPU)),
                   c10::GetAllocator(at::kCPU), true),
      c10::DispatchKeySet(c10::DispatchKey::CPU), t.dtype());
  host.unsafeGetTensorImpl()->set_sizes_and_strides(t.sizes(), t.strides(), t.storage_offset());
  if (t.is_conj()) host._set_conj(true);
  if (t.is_neg()) host._set_neg(true);
  return host;
}

Tensor& copy_(Tensor& self, const Tensor& source, bool non_blocking) {
  if (self.is_cuda() && !source.is_cuda()) {
    if (!non_blocking || !source.is_pinned()) waits("copy to the device");
  } else if (!self.is_cuda() && non_blocking && self.is_pinned()) {
    const auto values = on_host(source).clone();
    std::fill_n(static_cast<unsigned char*>(self.data_ptr()), self.nbytes(), 0xff);
    std::lock_guard<std::mutex> lock(mutex);
    on_their_way.emplace_back(self, values);
    return self;
  } else if (!self.is_cuda()) {
    arrive_all();
    waits("copy to the host");
  }
  auto to = on_host(self);
  to.copy_(on_host(source));
  return self;
}

const Tensor& resize_(const Tensor& self, c10::SymIntArrayRef size, std::optional<at::MemoryFormat> format) {
  auto sizes = C10_AS_INTARRAYREF_SLOW(size);
  auto* impl = self.unsafeGetTensorImpl();
  impl->set_sizes_contiguous(sizes);
  if (format) impl->empty_tensor_restride(*format);
  auto bytes = at::detail::computeStorageNbytes(impl->sizes(), impl->strides(), impl->dtype().itemsize(),
                                                impl->storage_offset());
  auto storage = self.storage();
  if (storage.nbytes() < bytes) {
    auto fresh = device_allocator.allocate(bytes);
    std::copy_n(static_cast<const char*>(storage.data()), storage.nbytes(), static_cast<char*>(fresh.get()));
    storage.set_data_ptr(std::move(fresh));
    storage.set_nbytes(bytes);
  }
  return self;
}

// Calls visit(tensor) for every tensor among the arguments, which may replace it.
template <class Visit>
void each_tensor(torch::jit::Stack* stack, size_t arguments, Visit visit) {
  for (size_t i = stack->size() - arguments; i < stack->size(); ++i) {
    auto& value = (*stack)[i];
    if (value.isTensor()) {
      auto tensor = value.toTensor();
      visit(tensor);
      value = tensor;
    } else if (value.isTensorList()) {
      auto list = value.toTensorVector();
      for (auto& tensor : list) visit(tensor);
      value = c10::List<Tensor>(list);
    } else if (value.isOptionalTensorList()) {
      auto list = value.toOptionalTensorVector();
      for (auto& tensor : list) if (tensor) visit(*tensor);
      value = c10::List<std::optional<Tensor>>(list);
    } else if (value.isGenerator()) {
      TORCH_CHECK(value.toGenerator().device().is_cuda(), "Expected a 'cuda' device type for generator but found 'cpu'");
      value = static_cast<DeviceGenerator*>(value.toGenerator().unsafeGetGeneratorImpl())->numbers;
    } else if (value.isDevice()) {
      value = c10::Device(at::kCPU);
    }
  }
}

void free_kept(void* context) {
  auto* storage = static_cast<c10::Storage*>(context);
  {
    std::lock_guard<std::mutex> lock(mutex);
    held -= static_cast<int64_t>(storage->nbytes());
  }
  delete storage;
}

// Memory of the host, kept alive, as memory of the device.
c10::DataPtr adopt(const c10::Storage& storage) {
  auto* kept = new c10::Storage(storage);
  std::lock_guard<std::mutex> lock(mutex);
  peak = std::max(peak, held += static_cast<int64_t>(kept->nbytes()));
  return {kept->mutable_data(), kept, &free_kept, at::Device(at::kCUDA, 0)};
}

// An `out` that the host's kernel has given another shape, in the memory that was there or in a larger one.
void follow_resize(const Tensor& device, const Tensor& host) {
  if (host.storage().data() != device.storage().data()) {
    auto storage = device.storage();
    storage.set_data_ptr(adopt(host.storage()));
    storage.set_nbytes(host.storage().nbytes());
  }
  if (host.sizes() != device.sizes() || host.strides() != device.strides())
    device.unsafeGetTensorImpl()->set_sizes_and_strides(host.sizes(), host.strides(), host.storage_offset());
}

// A result of the host's kernel as a tensor of the device: of an argument's storage, or of one of its own.
Tensor on_device(const Tensor& t, const std::vector<std::pair<Tensor, Tensor>>& arguments) {
  if (!t.defined()) return t;
  std::optional<c10::Storage> storage;
  for (const auto& [device, host] : arguments)
    if (device.is_cuda() && host.storage().unsafeGetStorageImpl() == t.storage().unsafeGetStorageImpl()) storage = device.storage();
  if (!storage)
    storage = c10::Storage(c10::Storage::use_byte_size_t(), t.storage().nbytes(), adopt(t.storage()), &device_allocator, true);
  auto result = at::detail::make_tensor<c10::TensorImpl>(std::move(*storage), CUDA_KEYS, t.dtype());
  result.unsafeGetTensorImpl()->set_sizes_and_strides(t.sizes(), t.strides(), t.storage_offset());
  return result;
}

// Operators whose kernel on a CUDA device makes the host wait, because the shape or value of the result is asked for.
const std::set<std::string> WAITING = {
    "aten::_local_scalar_dense", "aten::nonzero", "aten::nonzero.out", "aten::masked_select", "aten::masked_select.out",
    "aten::equal", "aten::_unique2", "aten::unique_dim", "aten::unique_consecutive", "aten::repeat_interleave.Tensor",
    "aten::bincount"};

void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& name = op.operator_name();
  const auto full = name.overload_name.empty() ? name.name : name.name + "." + name.overload_name;
  TORCH_CHECK(kernels.count(full), "stand-in GPU: ", full, " has no kernel for a CUDA device");
  if (WAITING.count(full)) waits(full.c_str());
  const auto& schema = op.schema();
  const auto given = torch::jit::last(*stack, schema.arguments().size()).vec();
  std::vector<std::pair<Tensor, Tensor>> arguments;
  each_tensor(stack, given.size(), [&](Tensor& t) {
    if (!t.defined()) return;
    // as on a CUDA device, a number of the host may stand beside tensors of the device
    TORCH_CHECK(t.is_cuda() || t.dim() == 0, "Expected all tensors to be on the same device, but ", full,
                " was called with one of shape ", t.sizes(), " on ", t.device(), " beside others on cuda:0");
    arguments.emplace_back(t, on_host(t));
    t = arguments.back().second;
  });
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  for (const auto& [device, host] : arguments)
    if (device.is_cuda()) follow_resize(device, host);
  const auto& returns = schema.returns();
  for (size_t i = 0; i < returns.size(); ++i) {
    auto& value = (*stack)[stack->size() - returns.size() + i];
    const auto* alias = returns[i].alias_info();
    if (alias && alias->isWrite()) {
      for (size_t k = 0; k < given.size(); ++k)
        if (const auto* of = schema.arguments()[k].alias_info(); of && *of == *alias) value = given[k];
    } else if (value.isTensor()) {
      value = on_device(value.toTensor(), arguments);
    } else if (value.isTensorList()) {
      auto list = value.toTensorVector();
      for (auto& tensor : list) tensor = on_device(tensor, arguments);
      value = c10::List<Tensor>(list);
    }
  }
}

}  // namespace

C10_REGISTER_GUARD_IMPL(CUDA, Guard)

namespace at {
C10_REGISTER_CLASS(CUDAHooksRegistry, CUDAHooks, Hooks)
}

TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("empty.memory_format", TORCH_FN(empty));
  m.impl("empty_strided", TORCH_FN(empty_strided));
  m.impl("copy_", TORCH_FN(copy_));
  m.impl("resize_", TORCH_FN(resize_));
  m.impl("convolution", torch::CppFunction::makeFromBoxedFunction<&fallback>());
  m.impl("convolution_backward", torch::CppFunction::makeFromBoxedFunction<&fallback>());
}

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }

extern "C" {
void stand_in_kernels(const char* names) {
  std::istringstream lines(names);
  for (std::string line; std::getline(lines, line);) kernels.insert("aten::" + line);
  c10::SetAllocator(at::kCUDA, &device_allocator);
}
void stand_in_synchronize() { arrive_all(); }
void stand_in_on_wait(void (*callback)(const char*)) { on_wait = callback; }
int64_t stand_in_held() { return held; }
int64_t stand_in_peak() { return peak; }
void stand_in_reset_peak() { peak = held; }
}
