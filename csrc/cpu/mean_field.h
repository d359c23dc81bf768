// Mean-field inference on the CPU (Krähenbühl & Koltun 2011, algorithm 1).
#pragma once

#include <cstddef>

#include "../problem.h"

namespace densecrf::cpu {

struct Problem {
    Grid grid;
    Channels channels;
    std::vector<Term> terms;
    Unary unary;
    int iterations;
};

// Bytes that infer takes at the very least: all that does not depend on how many vertices the lattice has.
size_t least_memory(const Problem& problem);

// marginals [L, N], label-major. Bit-identical for every number of threads. Throws OutOfMemory before the work
// starts, std::domain_error where a sigma is too small to tell features apart.
void infer(const Problem& problem, int threads, float* marginals);

}  // namespace densecrf::cpu
