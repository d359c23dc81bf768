// densecrf._core: from NumPy arrays to the plain values of problem.h and back. Checks only what would be unsafe
// not to; what users may pass is decided in densecrf/_check.py.
#include <pybind11/stl.h>

#include <memory>
#include <optional>

#include "../cpu/features.h"
#include "../cpu/kernels.h"
#include "../cpu/model.h"
#include "../cpu/room.h"
#include "../cpu/survey.h"
#include "gil.h"
#include "signals.h"
#include "values.h"

namespace densecrf {
namespace {

using Planar = py::array_t<float, py::array::c_style>;  // [L, N]

bool is_aligned(const py::array& array) {
    return reinterpret_cast<uintptr_t>(array.data()) % static_cast<size_t>(array.itemsize()) == 0;
}

// channels [N, C], of any strides in whole values; None for none.
Channels channels_of(const py::object& channels) {
    if (channels.is_none()) return {};
    const auto array = py::cast<py::array>(channels);
    const bool is_uint8 = py::isinstance<py::array_t<uint8_t>>(array);
    if (!is_uint8 && !py::isinstance<py::array_t<float>>(array))
        throw py::type_error("channels must be uint8 or float32");
    if (array.ndim() != 2) throw py::value_error("channels must have shape (N, C)");
    const py::ssize_t size = array.itemsize();
    if (!is_aligned(array) || array.strides(0) % size != 0 || array.strides(1) % size != 0)
        throw py::value_error("channels must lie at multiples of their size");
    return {array.data(), is_uint8 ? ChannelType::kUint8 : ChannelType::kFloat32, static_cast<int>(array.shape(1)),
            array.strides(0) / size, array.strides(1) / size};
}

// A term and the array its channels point into.
struct TermOfArrays {
    Term term;
    py::object channels;
};

TermOfArrays make_term(std::vector<float> position_sigma, std::vector<float> channel_sigma, py::object channels,
                       const std::string& normalization, const Floats& compatibility) {
    Term term{std::move(position_sigma), std::move(channel_sigma), channels_of(channels),
              normalization_of(normalization), compatibility_of(compatibility)};
    check_term(term);
    return {std::move(term), std::move(channels)};
}

// The largest |feature| in each dimension of a term on a grid, [D].
std::vector<double> max_abs(const std::vector<int64_t>& shape, const TermOfArrays& one) {
    const Grid grid{shape};
    check_grid(shape, one.term);
    if (one.term.channels.data && py::cast<py::array>(one.channels).shape(0) != grid.points())
        throw py::value_error("channels must have shape (N, C)");
    std::vector<double> found(one.term.dims());
    const GilReleased released;
    cpu::Features(grid, one.term).max_abs(found.data());
    return found;
}

// A model and what it takes to check the arrays it is used with.
struct BuiltModel {
    cpu::Model model;
    py::ssize_t labels;  // that a compatibility asks for; 0 where any number will do
};

std::unique_ptr<BuiltModel> make_model(const std::vector<int64_t>& shape, const std::vector<TermOfArrays>& terms,
                                       int threads, cpu::Profile* profile, const Stop* stop) {
    const Grid grid{shape};
    if (shape.empty() || grid.points() < 1) throw py::value_error("a model needs points");
    std::vector<Term> plain;
    for (const TermOfArrays& one : terms) {
        check_grid(shape, one.term);
        if (one.term.channels.data && py::cast<py::array>(one.channels).shape(0) != grid.points())
            throw py::value_error("channels must have shape (N, C)");
        plain.push_back(one.term);
    }
    const py::ssize_t labels = labels_of(plain);
    Signals signals(stop);
    const GilReleased released;
    return std::unique_ptr<BuiltModel>(
        new BuiltModel{cpu::Model(grid, plain, {threads, profile, signals.interrupt()}), labels});
}

void check_planes(const BuiltModel& built, const Planar& array) {
    if (array.ndim() != 2 || array.shape(0) < 1 || array.shape(1) != built.model.points())
        throw py::value_error("an array must have shape (L, N)");
    if (!is_aligned(array)) throw py::value_error("an array must lie at a multiple of its values' size");
    if (built.labels != 0 && array.shape(0) != built.labels)
        throw py::value_error("an array must have as many labels as the compatibility");
}

int infer(const BuiltModel& built, const Planar& scores, const std::string& kind, float clip, int iterations,
          const std::optional<Planar>& start, float damping, float tolerance, float label_tolerance, int threads,
          Planar& out, cpu::Profile* profile, const Stop* stop) {
    check_planes(built, scores);
    check_planes(built, out);
    if (start) check_planes(built, *start);
    if (out.shape(0) != scores.shape(0) || (start && start->shape(0) != scores.shape(0)))
        throw py::value_error("arrays must have the same number of labels");
    const Unary unary{scores.data(), static_cast<int>(scores.shape(0)), scores_of(kind), clip};
    const Inference inference{iterations, start ? start->data() : nullptr, damping, label_tolerance, tolerance};
    float* marginals = out.mutable_data();
    Signals signals(stop);
    const GilReleased released;
    return built.model.infer(unary, inference, {threads, profile, signals.interrupt()}, marginals);
}

void message(const BuiltModel& built, const Planar& values, int threads, Planar& out) {
    check_planes(built, values);
    check_planes(built, out);
    if (out.shape(0) != values.shape(0)) throw py::value_error("arrays must have the same number of labels");
    const float* from = values.data();
    float* to = out.mutable_data();
    const int labels = static_cast<int>(values.shape(0));
    Signals signals;
    const GilReleased released;
    built.model.message(from, labels, {threads, nullptr, signals.interrupt()}, to);
}

// A promise that a block of Python's `with` holds.
class PromiseOfPython {
  public:
    explicit PromiseOfPython(size_t bytes) : bytes_(bytes) {}
    void enter() { held_.emplace(bytes_); }
    void exit(const py::args&) { held_.reset(); }

  private:
    const size_t bytes_;
    std::optional<cpu::Promise> held_;
};

py::dict survey(const Planar& scores, int threads) {
    if (scores.ndim() != 2 || !is_aligned(scores)) throw py::value_error("scores must have shape (L, N), aligned");
    const float* data = scores.data();
    const int64_t labels = scores.shape(0), points = scores.shape(1);
    Survey s;
    Signals signals;
    {
        const GilReleased released;
        s = cpu::survey(data, labels, points, {threads, nullptr, signals.interrupt()});
    }
    return dict_of(s);
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
    py::class_<PromiseOfPython>(m, "Promise", "As require_memory; and others are told of as much less within.")
        .def(py::init<size_t>(), py::arg("bytes"))
        .def("__enter__", &PromiseOfPython::enter)
        .def("__exit__", &PromiseOfPython::exit);
    m.def("isa", [] { return cpu::kernels().name; }, "The instruction set in use.");
    m.def(
        "elevated_bound",
        [](const std::vector<double>& max_abs) {
            return elevated_bound(static_cast<int>(max_abs.size()), max_abs.data());
        },
        py::arg("max_abs"), "How far out in the lattice features bounded by max_abs [D] lie.");
    py::class_<TermOfArrays>(m, "Term").def(py::init(&make_term), py::arg("position_sigma"),
                                            py::arg("channel_sigma"), py::arg("channels"),
                                            py::arg("normalization"), py::arg("compatibility"));
    m.def("max_abs", &max_abs, py::arg("shape"), py::arg("term"), "The largest |feature| in each dimension, [D].");
    py::class_<cpu::Profile>(m, "Profile", "Where the time goes, in seconds of all threads together.")
        .def(py::init<>())
        .def("seconds", [](const cpu::Profile& profile) {
            py::dict seconds;
            for (int s = 0; s < cpu::kStages; ++s) seconds[cpu::kStageNames[s]] = profile.seconds(s);
            return seconds;
        });
    py::register_exception<Stopped>(m, "StoppedError", PyExc_RuntimeError);
    py::class_<Stop>(m, "Stop", "Ends calls that run in other threads; they raise StoppedError.")
        .def(py::init<>())
        .def("set", &Stop::set);
    py::class_<BuiltModel>(m, "Model")
        .def(py::init(&make_model), py::arg("shape"), py::arg("terms"), py::arg("threads"),
             py::arg("profile") = py::none(), py::arg("stop") = py::none())
        .def_property_readonly("vertices", [](const BuiltModel& built) { return built.model.vertices(); })
        .def("infer", &infer, py::arg("scores").noconvert(), py::arg("kind"), py::arg("clip"),
             py::arg("iterations"), py::arg("start").noconvert(), py::arg("damping"), py::arg("tolerance"),
             py::arg("label_tolerance"), py::arg("threads"), py::arg("out").noconvert(),
             py::arg("profile") = py::none(), py::arg("stop") = py::none(),
             "Marginals of scores [L, N], written to out [L, N]; iterations that ran.")
        .def("message", &message, py::arg("values").noconvert(), py::arg("threads"), py::arg("out").noconvert(),
             "Values [C, N] through all terms, summed, written to out [C, N].");
    m.def("survey", &survey, py::arg("scores").noconvert(), py::arg("threads"),
          "Extremes of scores [L, N] and of their sums over labels.");
}
