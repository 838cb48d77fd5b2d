/*
 * CUDA 13 without a GPU: what ONNX Runtime's CUDA provider calls of the CUDA runtime, cuBLAS, cuDNN and the driver. Memory is the
 * host's, kernels and matrix products compute nothing, and what passes is counted. A graph can so be opened, placed and run
 * on "the GPU" on any machine: its results are meaningless, where its operators run and what crosses to the host is not.
 *
 * Functions that are not here return 0, success: test/cuda/build.ts adds them by the provider's list of undefined symbols.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* In a file that the test reads, in this order: see test/cuda/counters.ts. Bytes, numbers of calls, a bit for each device. */
struct counters { int64_t to_device, to_host, kernels, products, allocated, peak, devices; };
static struct counters none, *counters = &none;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define COUNT(what, n) __atomic_fetch_add(&counters->what, (n), __ATOMIC_SEQ_CST)

__attribute__((constructor)) static void open_counters(void) {
  const char *path = getenv("STUB_CUDA_COUNTERS");
  int file = path ? open(path, O_RDWR | O_CREAT, 0666) : -1;
  if (file < 0 || ftruncate(file, 4096) != 0) return;
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (page != MAP_FAILED) counters = page;
}

static int64_t number(const char *variable, int64_t otherwise) {
  const char *value = getenv(variable);
  return value ? atoll(value) : otherwise;
}
static int64_t capacity(void) { return number("STUB_CUDA_GIB", 80) << 30; }

/* Memory of the device: address space alone, until something is written to it. */
static struct { char *begin; size_t size; } blocks[65536];
static int used;

static int on_device(const void *address) {
  int found = 0;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < used && !found; i++)
    found = (char *)address >= blocks[i].begin && (char *)address < blocks[i].begin + blocks[i].size;
  pthread_mutex_unlock(&lock);
  return found;
}

int cudaMalloc(void **result, size_t size) {
  int error = 2; /* cudaErrorMemoryAllocation */
  pthread_mutex_lock(&lock);
  if (counters->allocated + (int64_t)size <= capacity() && used < 65536) {
    void *begin = mmap(NULL, size + !size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (begin != MAP_FAILED) {
      blocks[used].begin = *result = begin;
      blocks[used++].size = size + !size;
      counters->allocated += size + !size;
      if (counters->allocated > counters->peak) counters->peak = counters->allocated;
      error = 0;
    }
  }
  pthread_mutex_unlock(&lock);
  return error;
}
int cudaMallocFromPoolAsync(void **result, size_t size) { return cudaMalloc(result, size); }

int cudaFree(void *begin) {
  pthread_mutex_lock(&lock);
  for (int i = 0; i < used; i++)
    if (begin && blocks[i].begin == begin) {
      munmap(begin, blocks[i].size);
      counters->allocated -= blocks[i].size;
      blocks[i] = blocks[--used];
      break;
    }
  pthread_mutex_unlock(&lock);
  return 0;
}
int cudaFreeAsync(void *begin) { return cudaFree(begin); }

int cudaHostAlloc(void **result, size_t size) { return (*result = malloc(size)) ? 0 : 2; }
int cudaMallocHost(void **result, size_t size) { return cudaHostAlloc(result, size); }
int cudaFreeHost(void *begin) { free(begin); return 0; }

/* Only what is small is copied, in which a graph may have its control flow: parameters would become real memory. */
int cudaMemcpy(void *to, const void *from, size_t size) {
  int writes = on_device(to), reads = on_device(from);
  if (writes && !reads) COUNT(to_device, size);
  if (reads && !writes) COUNT(to_host, size);
  if (size <= 65536) memcpy(to, from, size);
  return 0;
}
int cudaMemcpyAsync(void *to, const void *from, size_t size) { return cudaMemcpy(to, from, size); }

int cudaMemGetInfo(size_t *free_bytes, size_t *total) {
  *total = capacity();
  *free_bytes = *total - counters->allocated;
  return 0;
}

/* struct cudaPointerAttributes: the first member is the kind of memory, 2 for the device's. */
int cudaPointerGetAttributes(void *attributes, const void *address) {
  memset(attributes, 0, 32);
  *(int *)attributes = on_device(address) ? 2 : 0;
  return 0;
}

/* An L4: compute capability 8.9, 58 multiprocessors. Offsets are those of struct cudaDeviceProp in CUDA 13. */
int cudaGetDeviceProperties(char *properties) {
#define SET(type, offset, value) *(type *)(properties + (offset)) = (value)
  memset(properties, 0, 1008);
  strcpy(properties, "stub");
  SET(size_t, 288, capacity());
  SET(size_t, 296, 48 << 10); /* sharedMemPerBlock */
  SET(int, 304, 65536);       /* regsPerBlock */
  SET(int, 308, 32);          /* warpSize */
  SET(int, 320, 1024);        /* maxThreadsPerBlock */
  SET(int, 324, 1024), SET(int, 328, 1024), SET(int, 332, 64);
  SET(int, 336, 0x7fffffff), SET(int, 340, 65535), SET(int, 344, 65535);
  SET(int, 360, 8), SET(int, 364, 9);
  SET(int, 384, 58);
  SET(int, 596, 48 << 20); /* l2CacheSize */
  SET(int, 604, 1536);     /* maxThreadsPerMultiProcessor */
  SET(size_t, 624, 100 << 10), SET(size_t, 672, 99 << 10);
  return 0;
}
int cudaDeviceGetAttribute(int *value, int attribute) {
  static const int values[][2] = {{1, 1024}, {8, 48 << 10}, {10, 32}, {16, 58}, {39, 1536}, {75, 8}, {76, 9}, {97, 99 << 10}};
  *value = 0;
  for (size_t i = 0; i < sizeof values / sizeof *values; i++)
    if (values[i][0] == attribute) *value = values[i][1];
  return 0;
}

static __thread int device;
int cudaGetDeviceCount(int *count) { *count = (int)number("STUB_CUDA_DEVICES", 1); return 0; }
int cudaGetDevice(int *result) { *result = device; return 0; }
int cudaSetDevice(int wanted) {
  if (wanted >= number("STUB_CUDA_DEVICES", 1)) return 101; /* cudaErrorInvalidDevice */
  device = wanted;
  __atomic_fetch_or(&counters->devices, INT64_C(1) << wanted, __ATOMIC_SEQ_CST);
  return 0;
}
int cudaDriverGetVersion(int *version) { *version = 13000; return 0; }
int cudaRuntimeGetVersion(int *version) { *version = 13000; return 0; }
const char *cudaGetErrorString(int error) { return error == 2 ? "out of memory" : "stub error"; }
const char *cudaGetErrorName(int error) { return "stub"; }

/* Handles: of streams, events, graphs and libraries. */
#define MAKES_HANDLE(name) int name(void **handle) { *handle = calloc(1, 64); return 0; }
MAKES_HANDLE(cudaEventCreate)
MAKES_HANDLE(cudaEventCreateWithFlags)
MAKES_HANDLE(cudaStreamCreate)
MAKES_HANDLE(cudaStreamCreateWithFlags)
MAKES_HANDLE(cudaGraphInstantiate)
MAKES_HANDLE(cudaMemPoolCreate)
MAKES_HANDLE(cudaLibraryLoadData)
MAKES_HANDLE(cudaLibraryGetKernel)
MAKES_HANDLE(__cudaGetKernel)
MAKES_HANDLE(cublasCreate_v2)
MAKES_HANDLE(cublasLtCreate)
MAKES_HANDLE(cublasLtMatmulDescCreate)
MAKES_HANDLE(cublasLtMatmulPreferenceCreate)
MAKES_HANDLE(cublasLtMatrixLayoutCreate)
MAKES_HANDLE(cublasLtMatrixTransformDescCreate)
MAKES_HANDLE(cudnnCreate)
MAKES_HANDLE(cudnnCreateTensorDescriptor)
MAKES_HANDLE(cudnnCreateReduceTensorDescriptor)
void *__cudaRegisterFatBinary(void *binary) { return calloc(1, 64); }
int cudaEventElapsedTime(float *milliseconds) { *milliseconds = 0; return 0; }
int cudaStreamIsCapturing(void *stream, int *status) { *status = 0; return 0; }
int cudaFuncGetAttributes(void *attributes) { memset(attributes, 0, 144); return 0; }
int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks) { *blocks = 2; return 0; }
int cudaLaunchHostFunc(void *stream, void (*function)(void *), void *data) { function(data); return 0; }
int cudaGetDriverEntryPointByVersion(const char *name, void **function, unsigned version, uint64_t flags, int *status) {
  *function = NULL;
  if (status) *status = 1; /* cudaDriverEntryPointSymbolNotFound */
  return 0;
}
const char *cublasGetStatusName(int status) { return "stub"; }
const char *cublasGetStatusString(int status) { return "stub"; }

size_t cudnnGetVersion(void) { return 92800; }
const char *cudnnGetErrorString(int status) { return "stub"; }

int cublasGetMathMode(void *handle, int *mode) { *mode = 0; return 0; }
int cublasLtMatmulAlgoGetHeuristic(void *handle, void *product, void *a, void *b, void *c, void *d, void *preference,
                                   int wanted, void *results, int *found) {
  memset(results, 0, 96); /* one cublasLtMatmulHeuristicResult_t */
  *found = 1;
  return 0;
}

#define KERNEL(name) int name(void) { COUNT(kernels, 1); return 0; }
KERNEL(__cudaLaunchKernel)
KERNEL(cudaLaunchKernel)
KERNEL(cudaLaunchKernelExC)
KERNEL(cudaLaunchCooperativeKernel)
#define PRODUCT(name) int name(void) { COUNT(products, 1); return 0; }
PRODUCT(cublasSgemm_v2)
PRODUCT(cublasGemmEx)
PRODUCT(cublasSgemmStridedBatched)
PRODUCT(cublasGemmStridedBatchedEx)
PRODUCT(cublasGemmBatchedEx)
PRODUCT(cublasSgemmBatched)
PRODUCT(cublasLtMatmul)
KERNEL(cudnnReduceTensor)
KERNEL(cudnnSoftmaxForward)
