// Points to the vertices of their simplices: the first step of building a lattice.
#pragma once

#include "../lattice_key.h"
#include "lattice.h"

namespace densecrf::cuda {

// Keys of a batch: those of lattice_key.h with the picture's number above them, so that the vertices of all
// pictures are told apart, and lie picture by picture when sorted. Word 0 is the least significant.
struct BatchKeys {
    KeyLayout layout;
    int words;          // of the layout, and one more where the number does not fit into the last
    int picture_shift;  // in the last word
    int last_bits;      // of the last word that are in use
};

// Where the corners of a term lie among those of all terms: corner[point * stride + first + r].
struct CornerPlace {
    Corner* corner;
    int stride, first;
};

// Throws std::domain_error where a sigma is too small.
BatchKeys batch_keys(const Grid& grid, int pictures, const DeviceTerm& term);

// Writes keys [words][pictures * N * K] and, among the corners of all terms, barycentric weights. K = D + 1.
void embed(const Context& context, const Grid& grid, int pictures, const DeviceTerm& term, const BatchKeys& keys,
           uint64_t* key, CornerPlace place);

}  // namespace densecrf::cuda
