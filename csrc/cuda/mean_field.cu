// The engine. An iteration is one pass over the points and one filter through the lattice:
//
//     pass       slice (+ unary) -> soft-max -> rows of marginals
//     filter     splat the rows -> blur along every axis -> mix labels
//
// All of it is launched at once: which labels still matter, and whether anything still moves, is decided and kept
// on the device (label_sets.h).
#include "../label_tolerance.h"
#include "marginals.h"
#include "mean_field.h"

namespace densecrf::cuda {
namespace {

// As on the CPU: no denormal numbers on their way into the lattice; results down to the smallest normal float.
constexpr float kFloorInside = -60.0f, kFloorResult = -125.0f;

// Values of one term times a compatibility that the corner weights cannot hold.
struct TimesCompatibility {
    Compatibility::Kind kind;
    float number;
    const float* values;
    int labels;

    DENSECRF_DEVICE float mixed(const float* row, int label) const {
        if (label >= labels) return 0;
        if (kind == Compatibility::Kind::kPotts) return number * row[label];
        if (kind == Compatibility::Kind::kDiagonal) return values[label] * row[label];
        float sum = 0;
        for (int m = 0; m < labels; ++m) sum = fmaf(values[static_cast<int64_t>(m) * labels + label], row[m], sum);
        return sum;
    }

    DENSECRF_DEVICE Four operator()(const Four* parts, int part) const {
        const auto* row = reinterpret_cast<const float*>(parts);
        const int first = 4 * part;
        return Four{mixed(row, first), mixed(row, first + 1), mixed(row, first + 2), mixed(row, first + 3)};
    }
};

bool looks_at_change(const Inference& inference) {
    return inference.damping > 0 || inference.tolerance > 0;
}

// Labels may be left out where they do no more than attract their own kind.
float label_tolerance(const Lattice& lattice, const Inference& inference) {
    const bool open =
        lattice.normalised && lattice.mixing.empty() && !inference.start && !looks_at_change(inference);
    return open && inference.iterations > 0 ? effective_tolerance(inference.label_tolerance, lattice.weights) : 0;
}

class MeanField {
  public:
    MeanField(const Context& context, const Lattice& lattice, int labels, float tolerance, bool filters)
        : context_(context),
          lattice_(lattice),
          parts_(parts_of(labels)),
          sets_(context, lattice.pictures, labels, tolerance),
          rows_{Array<Four>(context, filters ? lattice.pictures * lattice.points * parts_ : 0),
                Array<Four>(context, sets_.may_choose() ? lattice.pictures * lattice.points * parts_ : 0)},
          values_(context, filters ? 2 * lattice.rows * parts_ : 0),
          partial_(context, filters ? lattice.pictures * lattice.most_segments * parts_ : 0) {
        pass_.lattice = lattice.view();
        pass_.labels = labels;
        pass_.state = sets_.state();
        pass_.lists = sets_.lists();
        pass_.values = {{values_.data(), parts_, sets_.parts()}};
        pass_.rows = {{rows_[0].data(), rows_[1].data()}, sets_.state(), lattice.points, parts_};
        pass_.scale = 1.0f;
    }

    void infer(const Unary& unary, const Inference& inference, float* marginals, std::vector<int>* iterations,
               Interrupt* interrupt) {
        const int n = inference.iterations;
        for (int i = 0; i <= n; ++i) {
            if (interrupt) interrupt->look();
            if (i > 0) filter();
            Pass pass = pass_of(i, unary, inference);
            if (i == n) pass.out = marginals;
            pass.floor = i == n ? kFloorResult : kFloorInside;
            run_pass(context_, lattice_.pictures, pass);
            if (i == n) break;
            if (inference.tolerance > 0 && i > 0) sets_.settle(context_, i, inference.tolerance);
            if (sets_.may_choose()) choose(i);
        }
        if (iterations) count(n, *iterations);
    }

    void message(const float* values, float* out) {
        Pass in = pass_;
        in.begin = Begin::kValues;
        in.planes = values;
        run_pass(context_, lattice_.pictures, in);
        filter();
        Pass back = pass_;
        back.begin = Begin::kZero;
        back.messages = true;
        back.out = out;
        back.scale = kLn2;
        run_pass(context_, lattice_.pictures, back);
    }

  private:
    Pass pass_of(int iteration, const Unary& unary, const Inference& inference) const {
        Pass pass = pass_;
        const bool starts = iteration == 0 && inference.start != nullptr;
        pass.begin = starts ? Begin::kValues : Begin::kScores;
        pass.planes = starts ? inference.start : unary.scores;
        pass.kind = unary.kind;
        pass.clip = unary.clip;
        pass.messages = iteration > 0;
        pass.softmax = !starts;
        pass.peaks = sets_.peaks();
        if (iteration > 0 && looks_at_change(inference)) {
            pass.progress = sets_.state();
            pass.damping = inference.damping;
        }
        return pass;
    }

    void choose(int iteration) {
        sets_.choose(context_, iteration);
        if (iteration <= kLastLook) narrow_rows(context_, lattice_.pictures, pass_);
    }

    void filter() {
        if (lattice_.corners == 0) return;  // no terms, no rows
        splat(context_, lattice_, pass_.rows, pass_.values, partial_.data());
        blur(context_, lattice_, pass_.values);
        mix(context_, lattice_, pass_.values, [&](const Mixing& mixing) {
            return TimesCompatibility{mixing.kind, mixing.number, mixing.values.data(), pass_.labels};
        });
    }

    void count(int n, std::vector<int>& iterations) const {
        std::vector<PictureState> states(lattice_.pictures);
        download(context_, states.data(), sets_.state(),
                 static_cast<int64_t>(states.size() * sizeof(PictureState)));
        synchronize(context_);
        iterations.clear();
        for (const PictureState& state : states) iterations.push_back(state.settled > 0 ? state.settled : n);
    }

    const Context& context_;
    const Lattice& lattice_;
    const int parts_;
    const LabelSets sets_;
    const Array<Four> rows_[2];
    const Array<Four> values_, partial_;
    Pass pass_ = {};  // what all passes have in common
};

}  // namespace

void infer(const Context& context, const Lattice& lattice, const Unary& unary, const Inference& inference,
           float* marginals, std::vector<int>* iterations, Interrupt* interrupt) {
    inference.require_iterations();
    MeanField(context, lattice, unary.labels, label_tolerance(lattice, inference), inference.iterations > 0)
        .infer(unary, inference, marginals, iterations, interrupt);
}

void message(const Context& context, const Lattice& lattice, const float* values, int labels, float* out) {
    MeanField(context, lattice, labels, 0, true).message(values, out);
}

}  // namespace densecrf::cuda
