// libFuzzer's target for the CUDA kernels, through their host twin.
#include "../../csrc/cuda/launch.h"
#include "../../csrc/cuda/model.h"
#include "problem.h"

namespace densecrf::fuzz {
namespace {

constexpr int kMostDims = 12;

class HostMemory : public cuda::Allocator {
  public:
    void* allocate(int64_t bytes) override { return ::operator new(bytes, std::align_val_t{256}); }
    void release(void* memory) noexcept override { ::operator delete(memory, std::align_val_t{256}); }
};

std::vector<cuda::DeviceTerm> on_device(const Problem& problem) {
    std::vector<cuda::DeviceTerm> terms;
    for (const OwnedTerm& one : problem.owned)
        terms.push_back({one.term, std::vector<double>(one.term.channel_sigma.size(), one.bound), nullptr});
    return terms;
}

void run(Bytes& bytes) {
    const cuda::Context context{0, nullptr, std::make_shared<HostMemory>()};
    cuda::twin_order() = bytes.PickValueInArray(
        {cuda::TwinOrder::kForwards, cuda::TwinOrder::kBackwards, cuda::TwinOrder::kScattered});
    const Problem problem = any_problem(bytes, false, kMostDims);
    const int pictures = bytes.ConsumeIntegralInRange(1, 3), labels = problem.labels;
    const int64_t points = problem.grid.points();
    bool sane = problem.sane;
    const Scores kind = bytes.PickValueInArray({Scores::kProbabilities, Scores::kLogits, Scores::kEnergies});
    std::vector<float> scores, start;
    for (int i = 0; i < pictures; ++i) {
        const std::vector<float> one = any_scores(bytes, points, labels, kind, sane);
        scores.insert(scores.end(), one.begin(), one.end());
    }
    const float clip = bytes.ConsumeBool() ? 1e-5f : any_float(bytes);
    sane &= clip > 0 && clip < 1;
    if (bytes.ConsumeBool()) start = any_scores(bytes, points, labels * pictures, Scores::kLogits, sane);
    const Inference inference = any_inference(bytes, start.empty() ? nullptr : start.data(), sane);
    const auto survey = cuda::survey(context, scores.data(), pictures, labels, points);
    std::vector<std::vector<Survey>> found;
    const cuda::Model model(context, problem.grid, pictures, on_device(problem), {&survey}, found);
    std::vector<float> out(scores.size());
    if (bytes.ConsumeIntegralInRange(0, 3) == 0) return model.message(context, scores.data(), labels, out.data());
    std::vector<int> ran;
    model.infer(context, {scores.data(), labels, kind, clip}, inference, out.data(),
                bytes.ConsumeBool() ? &ran : nullptr, nullptr);
    if (!sane || !start.empty()) return;
    for (int i = 0; i < pictures; ++i)
        require_distributions({out.begin() + i * points * labels, out.begin() + (i + 1) * points * labels},
                              labels);
}

}  // namespace
}  // namespace densecrf::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return densecrf::fuzz::outcome(data, size, densecrf::fuzz::run);
}
