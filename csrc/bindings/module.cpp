// densecrf._core: from NumPy arrays to the plain values of problem.h and back. Checks only what would be unsafe
// not to; what users may pass is decided in densecrf/_check.py.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "../cpu/kernels.h"
#include "../cpu/mean_field.h"
#include "../cpu/memory.h"
#include "../cpu/survey.h"
#include "../simplex.h"

namespace py = pybind11;

namespace densecrf {
namespace {

using Scores = py::array_t<float, py::array::c_style>;

// picture [N, C], of any strides; None for no picture.
Channels channels_of(const py::object& picture, int64_t points) {
    if (picture.is_none()) return {};
    const auto array = py::cast<py::array>(picture);
    const bool is_uint8 = py::isinstance<py::array_t<uint8_t>>(array);
    if (!is_uint8 && !py::isinstance<py::array_t<float>>(array))
        throw py::type_error("picture must be uint8 or float32");
    if (array.ndim() != 2 || array.shape(0) != points) throw py::value_error("picture must have shape (N, C)");
    const py::ssize_t size = array.itemsize();
    return {array.data(), is_uint8 ? ChannelType::kUint8 : ChannelType::kFloat32, static_cast<int>(array.shape(1)),
            array.strides(0) / size, array.strides(1) / size};
}

Term make_term(std::vector<float> position_sigma, std::vector<float> channel_sigma, float weight,
               const std::string& normalization) {
    const std::pair<const char*, Normalization> names[] = {{"none", Normalization::kNone},
                                                           {"before", Normalization::kBefore},
                                                           {"after", Normalization::kAfter},
                                                           {"symmetric", Normalization::kSymmetric}};
    Term term{std::move(position_sigma), std::move(channel_sigma), weight, Normalization::kNone};
    if (term.dims() < 1 || term.dims() > kMaxDims)
        throw py::value_error("a term has 1 to " + std::to_string(kMaxDims) + " feature dimensions");
    for (const auto& [name, value] : names) {
        if (normalization != name) continue;
        term.normalization = value;
        return term;
    }
    throw py::value_error("unknown normalization " + normalization);
}

void check_sizes(const cpu::Problem& problem, const Scores& scores, const Scores& marginals) {
    const int64_t points = problem.grid.points();
    if (points < 1 || scores.ndim() != 2 || scores.shape(0) < 1 || scores.shape(1) != points)
        throw py::value_error("scores must have shape (L, N)");
    if (marginals.ndim() != 2 || marginals.shape(0) != scores.shape(0) || marginals.shape(1) != points)
        throw py::value_error("out must have the shape of scores");
    for (const Term& term : problem.terms)
        if (term.position_sigma.size() > problem.grid.shape.size() ||
            term.channel_sigma.size() > static_cast<size_t>(problem.channels.count))
            throw py::value_error("a term has more sigmas than there are axes or channels");
}

void infer(const Scores& scores, const std::vector<int64_t>& shape, const py::object& picture,
           const std::vector<Term>& terms, int iterations, bool from_logits, float clip, int threads,
           Scores& out) {
    cpu::Problem problem{{shape}, {}, terms, {}, iterations};
    problem.channels = channels_of(picture, problem.grid.points());
    check_sizes(problem, scores, out);
    problem.unary = {scores.data(), static_cast<int>(scores.shape(0)), from_logits, clip};
    float* marginals = out.mutable_data();
    const py::gil_scoped_release release;
    cpu::infer(problem, threads, marginals);
}

py::dict survey(const Scores& scores, int threads) {
    if (scores.ndim() != 2) throw py::value_error("scores must have shape (L, N)");
    const float* data = scores.data();
    const int64_t labels = scores.shape(0), points = scores.shape(1);
    cpu::Survey s;
    {
        const py::gil_scoped_release release;
        s = cpu::survey(data, labels, points, threads);
    }
    py::dict found;
    found["min"] = s.min;
    found["max"] = s.max;
    found["sum_min"] = s.sum_min;
    found["sum_max"] = s.sum_max;
    found["not_finite"] = s.not_finite;
    return found;
}

}  // namespace
}  // namespace densecrf

PYBIND11_MODULE(_core, m) {
    using namespace densecrf;
    m.doc() = "The compiled core of densecrf.";
    m.attr("max_dims") = kMaxDims;
    m.attr("max_elevated") = kMaxElevated;
    m.def("require_memory", &cpu::require_memory, py::arg("bytes"),
          "Raises MemoryError if this process may not have so much more memory.");
    m.def("isa", [] { return cpu::kernels().name; }, "The instruction set in use.");
    m.def(
        "elevated_bound",
        [](const std::vector<double>& max_abs) {
            return elevated_bound(static_cast<int>(max_abs.size()), max_abs.data());
        },
        py::arg("max_abs"), "How far out in the lattice features bounded by max_abs [D] lie.");
    py::class_<Term>(m, "Term").def(py::init(&make_term), py::arg("position_sigma"), py::arg("channel_sigma"),
                                    py::arg("weight"), py::arg("normalization"));
    m.def("infer", &infer, py::arg("scores").noconvert(), py::arg("shape"), py::arg("picture"), py::arg("terms"),
          py::arg("iterations"), py::arg("from_logits"), py::arg("clip"), py::arg("threads"),
          py::arg("out").noconvert(), "Mean-field marginals of scores [L, N], written to out [L, N].");
    m.def("survey", &survey, py::arg("scores").noconvert(), py::arg("threads"),
          "Extremes of scores [L, N] and of their sums over labels.");
}
