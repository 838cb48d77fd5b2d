/* Intel's MKL, which PyTorch links, takes its fast paths only on Intel's processors. Preloaded (LD_PRELOAD), these
 * functions tell it that the processor is Intel's, so that the bench can show both what a user of another processor gets
 * and what the library can do. MKL still asks the processor itself which instructions it has. */
int mkl_serv_intel_cpu(void) { return 1; }
int mkl_serv_intel_cpu_true(void) { return 1; }
