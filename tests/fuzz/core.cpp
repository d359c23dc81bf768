// libFuzzer's target for the compiled core on the CPU: builds models and infers with whatever bytes say.
#include "../../csrc/cpu/model.h"
#include "../../csrc/cpu/room.h"
#include "../../csrc/cpu/survey.h"
#include "problem.h"

namespace densecrf::fuzz {
namespace {

constexpr int kMostDims = 20;

void infer(Bytes& bytes, const Problem& problem, const cpu::Model& model, bool large) {
    bool sane = problem.sane;
    const int labels = problem.labels;
    const int64_t points = problem.grid.points();
    const Scores kind = bytes.PickValueInArray({Scores::kProbabilities, Scores::kLogits, Scores::kEnergies});
    std::vector<float> scores = any_scores(bytes, points, labels, kind, sane), start;
    const float clip = bytes.ConsumeBool() ? 1e-5f : any_float(bytes);
    sane &= clip > 0 && clip < 1;
    if (bytes.ConsumeBool()) start = any_scores(bytes, points, labels, Scores::kProbabilities, sane);
    const Inference inference = any_inference(bytes, start.empty() ? nullptr : start.data(), sane);
    std::vector<float> marginals(scores.size());
    const int threads = bytes.ConsumeIntegralInRange(-1, 3);
    const Unary unary{scores.data(), labels, kind, clip};
    const int ran = model.infer(unary, inference, {threads}, marginals.data());
    require(ran <= std::max(0, inference.iterations), "no more iterations than asked for");
    if (!sane) return;
    require_distributions(marginals, labels);
    if (!large) return;
    std::vector<float> alone(scores.size());
    model.infer(unary, inference, {1}, alone.data());
    require(std::memcmp(alone.data(), marginals.data(), alone.size() * sizeof(float)) == 0,
            "the same bits for every number of threads");
}

void message(Bytes& bytes, const Problem& problem, const cpu::Model& model) {
    const std::vector<float> values = any_floats(bytes, problem.grid.points() * problem.labels);
    std::vector<float> out(values.size());
    cpu::survey(values.data(), problem.labels, problem.grid.points(), {bytes.ConsumeIntegralInRange(-1, 3)});
    model.message(values.data(), problem.labels, {bytes.ConsumeIntegralInRange(-1, 3)}, out.data());
}

void run(Bytes& bytes) {
    const bool large = bytes.ConsumeIntegral<uint16_t>() == 0xF00D;
    const Problem problem = any_problem(bytes, large, kMostDims);
    const cpu::Model model(problem.grid, problem.terms(), {bytes.ConsumeIntegralInRange(-1, 3)});
    bytes.ConsumeIntegralInRange(0, 3) == 0 ? message(bytes, problem, model) : infer(bytes, problem, model, large);
}

}  // namespace
}  // namespace densecrf::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) try {
    return densecrf::fuzz::outcome(data, size, densecrf::fuzz::run);
} catch (const densecrf::cpu::OutOfMemory&) {
    return 0;
}
