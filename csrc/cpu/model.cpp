#include "model.h"

#include <algorithm>

#include "mean_field.h"
#include "memory.h"
#include "message.h"
#include "room.h"

namespace densecrf::cpu {
namespace {

// Containers do not say how much they wanted.
template <class Work>
auto in_a_call(size_t at_least, const Work& work) {
    const CallGoingOn call;
    try {
        return work();
    } catch (const OutOfMemory&) {
        throw;
    } catch (const std::bad_alloc&) {
        throw OutOfMemory("memory ran out; this takes at least " + std::to_string(1 + (at_least >> 20)) + " MiB");
    }
}

size_t corner_bytes(const Grid& grid, const std::vector<Term>& terms) {
    size_t corners = 0;
    for (const Term& term : terms) corners += term.dims() + 1;
    return static_cast<size_t>(grid.points()) * corners * (sizeof(uint32_t) + sizeof(float));
}

}  // namespace

Model::Model(const Grid& grid, const std::vector<Term>& terms, const Execution& execution) : order_(grid) {
    in_a_call(corner_bytes(grid, terms), [&] {
        lattice_ = std::make_unique<Lattice>(order_, grid, terms);
        Team team(execution, order_.partitions());
        team.run([&](int thread) { lattice_->build(team, thread); });
    });
}

int Model::infer(const Unary& unary, const Inference& inference, const Execution& execution,
                 float* marginals) const {
    return in_a_call(inference_bytes(order_, *lattice_, unary.labels, inference),
                     [&] { return cpu::infer(order_, *lattice_, unary, inference, execution, marginals); });
}

void Model::message(const float* values, int labels, const Execution& execution, float* out) const {
    const Passes passes(order_, *lattice_, labels);
    const auto wide = static_cast<size_t>(lattice_->rows()) * static_cast<size_t>(width_of(labels));
    claim(out, static_cast<size_t>(points()) * static_cast<size_t>(labels) * sizeof(float));
    require_memory(wide * sizeof(float));
    in_a_call(wide * sizeof(float), [&] { cpu::message(passes, values, execution, out); });
}

}  // namespace densecrf::cpu
