// Lattices of terms that do not look at the picture, kept for other pictures of the same size: a data set has few
// sizes, and its spatial lattice takes a third of the time to build.
#pragma once

#include <memory>

#include "../problem.h"
#include "term_lattice.h"

namespace densecrf::cpu {

// Null if there is none. Safe to call from several threads and after a fork; nobody ever waits.
std::shared_ptr<const TermLattice> find_spatial(const Grid& grid, const Term& term);

// Keeps it if it is small, and says whether it does; the longest unused give way.
bool keep_spatial(const Grid& grid, const Term& term, std::shared_ptr<const TermLattice> lattice);

}  // namespace densecrf::cpu
