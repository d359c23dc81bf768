#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "kernels.h"

namespace densecrf::cpu {

#if defined(DENSECRF_X86)
extern const Kernels kernels_avx512, kernels_avx2;
#endif
extern const Kernels kernels_baseline;

namespace {

struct Candidate {
    const Kernels* kernels;
    bool runs_here;
};

const Kernels& choose() {
    const Candidate candidates[] = {
#if defined(DENSECRF_X86)
        {&kernels_avx512, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                              __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")},
        {&kernels_avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
#endif
        {&kernels_baseline, true},
    };
    const char* variable = std::getenv("DENSECRF_ISA");
    const std::string wanted = variable ? variable : "";
    for (const Candidate& candidate : candidates)
        if (candidate.runs_here && (wanted.empty() || wanted == candidate.kernels->name))
            return *candidate.kernels;
    throw std::runtime_error("DENSECRF_ISA=" + wanted +
                             ": this machine runs no such kernels; avx512, avx2 and baseline are known");
}

}  // namespace

const Kernels& kernels() {
    // Whoever comes first chooses, and all choose the same. A static variable would be chosen under a lock, and a
    // child forked just then would wait for it for ever.
    static std::atomic<const Kernels*> chosen{nullptr};
    const Kernels* found = chosen.load(std::memory_order_acquire);
    if (found == nullptr) chosen.store(found = &choose(), std::memory_order_release);
    return *found;
}

}  // namespace densecrf::cpu
