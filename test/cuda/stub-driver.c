/* libcuda.so.1 of a machine whose driver finds no GPU: NVIDIA's CUDA runtime loads it, asks, and is told so. */
#define NO_DEVICE 100 /* CUDA_ERROR_NO_DEVICE */
int cuInit(unsigned flags) { return NO_DEVICE; }
int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
int cuGetProcAddress(const char *name) { return NO_DEVICE; }
int cuGetProcAddress_v2(const char *name) { return NO_DEVICE; }
int cuTensorMapEncodeTiled(void) { return NO_DEVICE; }
