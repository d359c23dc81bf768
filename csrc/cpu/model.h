// A CRF without its unaries: points and pairwise terms, with their lattices built. What the bindings hold on to.
#pragma once

#include <memory>

#include "../problem.h"
#include "lattice.h"

namespace densecrf::cpu {

class Model {
  public:
    // Builds the lattices. The channels the terms point at are not looked at again. Throws OutOfMemory before the
    // work starts, std::domain_error where a sigma is too small to tell features apart.
    Model(const Grid& grid, const std::vector<Term>& terms, const Execution& execution);
    Model(const Model&) = delete;  // the lattices refer to the order of the points

    int64_t points() const { return order_.points(); }
    int64_t vertices() const { return lattice_->rows(); }

    // As in mean_field.h. Calls from several threads do not disturb each other.
    int infer(const Unary& unary, const Inference& inference, const Execution& execution, float* marginals) const;
    void message(const float* values, int labels, const Execution& execution, float* out) const;

  private:
    const PointOrder order_;
    std::unique_ptr<Lattice> lattice_;
};

}  // namespace densecrf::cpu
