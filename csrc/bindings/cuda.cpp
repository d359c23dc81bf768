// densecrf._cuda: the CUDA back end, on addresses of arrays that lie on a device. Which arrays, of which library
// and in which stream is the business of densecrf/_gpu.py. The same file makes densecrf._cuda_twin, the module
// that tests run the kernels with on the host: types are local to a module, so that both can be loaded.
#include <pybind11/stl.h>

#include <memory>
#include <optional>

#include "../cuda/model.h"
#include "gil.h"
#include "signals.h"
#include "values.h"

#if defined(DENSECRF_TWIN)
#include "../cuda/launch.h"
#endif

namespace densecrf {
namespace {

// Memory from a Python object with `allocate(bytes) -> address` and `release(address)`.
class PythonMemory : public cuda::Allocator {
  public:
    explicit PythonMemory(py::object memory) : memory_(std::move(memory)) {}
    ~PythonMemory() override {
        const py::gil_scoped_acquire acquire;
        memory_ = py::object();
    }
    void* allocate(int64_t bytes) override {
        const py::gil_scoped_acquire acquire;
        return reinterpret_cast<void*>(py::cast<uintptr_t>(memory_.attr("allocate")(bytes)));
    }
    void release(void* memory) noexcept override {
        const py::gil_scoped_acquire acquire;
        try {
            memory_.attr("release")(reinterpret_cast<uintptr_t>(memory));
        } catch (py::error_already_set& error) {
            error.discard_as_unraisable("densecrf: giving memory back");
        }
    }

  private:
    py::object memory_;
};

float* floats_at(uintptr_t address) {
    return reinterpret_cast<float*>(address);
}

cuda::Context make_context(int device, uintptr_t stream, py::object memory) {
    return {device, reinterpret_cast<void*>(stream), std::make_shared<PythonMemory>(std::move(memory))};
}

// One look at scores or pictures; `found` is there when a model has been built after it.
struct DeviceSurvey {
    cuda::Array<cuda::SurveyBits> bits;
    std::vector<Survey> found;
};

std::unique_ptr<DeviceSurvey> make_survey(const cuda::Context& context, uintptr_t scores, int pictures, int labels,
                                          int64_t points) {
    const GilReleased released;
    const cuda::DeviceGuard guard(context.device);
    return std::unique_ptr<DeviceSurvey>(
        new DeviceSurvey{cuda::survey(context, floats_at(scores), pictures, labels, points), {}});
}

// Where the channels of a batch of pictures lie: an address, then strides in elements between points, channels
// and pictures.
struct DeviceChannels {
    Channels channels;
};

DeviceChannels make_channels(uintptr_t address, const std::string& dtype, int count, int64_t point_stride,
                             int64_t channel_stride, int64_t picture_stride) {
    if (dtype != "uint8" && dtype != "float32") throw py::type_error("channels must be uint8 or float32");
    return {{reinterpret_cast<const void*>(address),
             dtype == "uint8" ? ChannelType::kUint8 : ChannelType::kFloat32, count, point_stride, channel_stride,
             picture_stride}};
}

cuda::DeviceTerm make_term(std::vector<float> position_sigma, std::vector<float> channel_sigma,
                           const std::optional<DeviceChannels>& channels, std::vector<double> channel_bound,
                           const DeviceSurvey* range, const std::string& normalization,
                           const Floats& compatibility) {
    cuda::DeviceTerm term{
        {std::move(position_sigma), std::move(channel_sigma), channels ? channels->channels : Channels{},
         normalization_of(normalization), compatibility_of(compatibility)},
        std::move(channel_bound),
        range ? range->bits.data() : nullptr};
    check_term(term.term);
    if (term.channel_bound.size() != term.term.channel_sigma.size())
        throw py::value_error("a term has a bound for each of its channels");
    return term;
}

// A model and what it takes to check the labels it is used with.
struct DeviceModel {
    std::unique_ptr<cuda::Model> model;
    py::ssize_t labels;  // that a compatibility asks for; 0 where any number will do
};

DeviceModel make_model(const cuda::Context& context, const std::vector<int64_t>& shape, int pictures,
                       const std::vector<cuda::DeviceTerm>& terms, const std::vector<DeviceSurvey*>& surveys) {
    const Grid grid{shape};
    if (shape.empty() || grid.points() < 1 || pictures < 1) throw py::value_error("a model needs points");
    std::vector<Term> plain;
    for (const cuda::DeviceTerm& one : terms) {
        check_grid(shape, one.term);
        plain.push_back(one.term);
    }
    DeviceModel built{nullptr, labels_of(plain)};
    std::vector<const cuda::Array<cuda::SurveyBits>*> bits;
    for (const DeviceSurvey* survey : surveys) bits.push_back(&survey->bits);
    std::vector<std::vector<Survey>> found;
    {
        const GilReleased released;
        built.model = std::make_unique<cuda::Model>(context, grid, pictures, terms, bits, found);
    }
    for (size_t i = 0; i < surveys.size(); ++i) surveys[i]->found = found[i];
    return built;
}

void check_labels(const DeviceModel& built, int labels) {
    if (labels < 1 || (built.labels != 0 && built.labels != labels))
        throw py::value_error("arrays must have as many labels as the compatibility");
}

std::optional<std::vector<int>> infer(const DeviceModel& built, const cuda::Context& context, uintptr_t scores,
                                      int labels, const std::string& kind, float clip, int iterations,
                                      uintptr_t start, float damping, float tolerance, float label_tolerance,
                                      uintptr_t out, bool count) {
    check_labels(built, labels);
    const Unary unary{floats_at(scores), labels, scores_of(kind), clip};
    const Inference inference{iterations, floats_at(start), damping, label_tolerance, tolerance};
    std::vector<int> ran;
    Signals signals;
    {
        const GilReleased released;
        built.model->infer(context, unary, inference, floats_at(out), count ? &ran : nullptr, signals.interrupt());
    }
    return count ? std::optional(ran) : std::nullopt;
}

void message(const DeviceModel& built, const cuda::Context& context, uintptr_t values, int labels, uintptr_t out) {
    check_labels(built, labels);
    const GilReleased released;
    built.model->message(context, floats_at(values), labels, floats_at(out));
}

}  // namespace
}  // namespace densecrf

PYBIND11_MODULE(DENSECRF_MODULE, m) {
    using namespace densecrf;
    m.doc() = "The CUDA back end of densecrf.";
    py::register_local_exception<cuda::Error>(m, "Error",
                                              py::module_::import("densecrf._errors").attr("CudaError"));
    m.def(
        "devices",
        [] {
            const cuda::Devices found = cuda::devices();
            return std::make_pair(found.count, found.reason);
        },
        "How many devices there are, and why if there are none.");
#if defined(DENSECRF_TWIN)
    m.def(
        "set_order",
        [](const std::string& order) {
            cuda::twin_order() = order == "backwards"   ? cuda::TwinOrder::kBackwards
                                 : order == "scattered" ? cuda::TwinOrder::kScattered
                                                        : cuda::TwinOrder::kForwards;
        },
        py::arg("order"), "The order in which threads run: forwards, backwards or scattered.");
    m.def("waits", [] { return cuda::twin_waits().load(); }, "How often the host waited so far.");
#endif
    py::class_<cuda::Context>(m, "Context", py::module_local(),
                              "A device, a stream of it, and where memory comes from.")
        .def(py::init(&make_context), py::arg("device"), py::arg("stream"), py::arg("memory"));
    py::class_<DeviceSurvey>(m, "Survey", py::module_local(),
                             "One look at scores [pictures][labels][points]; nothing waits for it.")
        .def(py::init(&make_survey), py::arg("context"), py::arg("scores"), py::arg("pictures"), py::arg("labels"),
             py::arg("points"))
        .def_property_readonly("found", [](const DeviceSurvey& survey) {
            py::list found;
            for (const Survey& one : survey.found) found.append(dict_of(one));
            return found;
        });
    py::class_<DeviceChannels>(m, "Channels", py::module_local())
        .def(py::init(&make_channels), py::arg("address"), py::arg("dtype"), py::arg("count"),
             py::arg("point_stride"), py::arg("channel_stride"), py::arg("picture_stride"));
    py::class_<cuda::DeviceTerm>(m, "Term", py::module_local())
        .def(py::init(&make_term), py::arg("position_sigma"), py::arg("channel_sigma"), py::arg("channels"),
             py::arg("channel_bound"), py::arg("range"), py::arg("normalization"), py::arg("compatibility"));
    py::class_<DeviceModel>(m, "Model", py::module_local())
        .def(py::init(&make_model), py::arg("context"), py::arg("shape"), py::arg("pictures"), py::arg("terms"),
             py::arg("surveys"))
        .def_property_readonly("vertices", [](const DeviceModel& built) { return built.model->vertices(); })
        .def("infer", &infer, py::arg("context"), py::arg("scores"), py::arg("labels"), py::arg("kind"),
             py::arg("clip"), py::arg("iterations"), py::arg("start"), py::arg("damping"), py::arg("tolerance"),
             py::arg("label_tolerance"), py::arg("out"), py::arg("count"),
             "Marginals of scores [pictures][labels][points], written to out. With `count`, waits, and says how "
             "many "
             "iterations ran in each picture.")
        .def("message", &message, py::arg("context"), py::arg("values"), py::arg("labels"), py::arg("out"),
             "Values [pictures][labels][points] through all terms, summed, written to out.");
}
