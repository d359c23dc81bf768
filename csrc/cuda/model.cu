#include "mean_field.h"
#include "model.h"

namespace densecrf::cuda {
namespace {

// Fetches what lies on the device; ready when the stream has been waited for.
std::vector<std::vector<SurveyBits>> fetch(const Context& context,
                                           const std::vector<const Array<SurveyBits>*>& surveys) {
    std::vector<std::vector<SurveyBits>> bits;
    for (const Array<SurveyBits>* survey : surveys) {
        bits.emplace_back(survey->size());
        download(context, bits.back().data(), survey->data(),
                 survey->size() * static_cast<int64_t>(sizeof(SurveyBits)));
    }
    return bits;
}

}  // namespace

Model::Model(const Context& context, const Grid& grid, int pictures, const std::vector<DeviceTerm>& terms,
             const std::vector<const Array<SurveyBits>*>& surveys, std::vector<std::vector<Survey>>& found)
    : built_in_(context), order_(context.device) {
    const DeviceGuard guard(context.device);
    std::vector<std::vector<SurveyBits>> bits;
    lattice_ = build_lattice(built_in_, grid, pictures, terms, [&] { bits = fetch(context, surveys); });
    for (const std::vector<SurveyBits>& survey : bits) {
        found.emplace_back();
        for (const SurveyBits& one : survey) found.back().push_back(to_survey(one));
    }
}

// In a stream that is captured in a graph the order is the caller's.
template <class Work>
void Model::in_order(const Context& context, const Work& work) const {
    const DeviceGuard guard(built_in_.device);
    const auto order = [&](const Context& later, const Context& earlier) {
        if (context.stream == built_in_.stream || is_captured(context)) return;
        const std::lock_guard<std::mutex> lock(mutex_);
        order_.after(later, earlier);
    };
    order(context, built_in_);
    try {
        work();
    } catch (...) {  // some of it may have been launched
        order(built_in_, context);
        throw;
    }
    order(built_in_, context);  // so that memory of the lattices is not given to others too early
}

void Model::infer(const Context& context, const Unary& unary, const Inference& inference, float* marginals,
                  std::vector<int>* iterations, Interrupt* interrupt) const {
    in_order(context, [&] { cuda::infer(context, lattice_, unary, inference, marginals, iterations, interrupt); });
}

void Model::message(const Context& context, const float* values, int labels, float* out) const {
    in_order(context, [&] { cuda::message(context, lattice_, values, labels, out); });
}

}  // namespace densecrf::cuda
