// CRFs of a batch of pictures without their unaries, on a device: what the bindings hold on to.
#pragma once

#include <mutex>

#include "../interrupt.h"
#include "lattice.h"

namespace densecrf::cuda {

class Model {
  public:
    // Builds the lattices; waits once, for their size. Surveys enqueued before are fetched at the same time, into
    // `found`. Throws std::domain_error as build_lattice does.
    Model(const Context& context, const Grid& grid, int pictures, const std::vector<DeviceTerm>& terms,
          const std::vector<const Array<SurveyBits>*>& surveys, std::vector<std::vector<Survey>>& found);

    int pictures() const { return lattice_.pictures; }
    int64_t points() const { return lattice_.points; }
    int64_t vertices() const { return lattice_.vertices(); }

    // As in mean_field.h. `context` may name another stream of the same device than the model was built in: the
    // lattices are then in order between the two.
    void infer(const Context& context, const Unary& unary, const Inference& inference, float* marginals,
               std::vector<int>* iterations, Interrupt* interrupt) const;
    void message(const Context& context, const float* values, int labels, float* out) const;

  private:
    template <class Work>
    void in_order(const Context& context, const Work& work) const;

    const Context built_in_;
    Lattice lattice_;
    mutable std::mutex mutex_;  // one event serves all callers
    mutable Order order_;
};

}  // namespace densecrf::cuda
