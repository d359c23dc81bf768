// From Python's values to those of problem.h, for every back end. Checks only what would be unsafe not to; what
// users may pass is decided in densecrf/_check.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cmath>
#include <string>
#include <vector>

#include "../problem.h"
#include "../simplex.h"

namespace densecrf {

namespace py = pybind11;

using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;

// A number, [L] or [L, L].
inline Compatibility compatibility_of(const Floats& values) {
    Compatibility compatibility;
    compatibility.kind = values.ndim() == 0   ? Compatibility::Kind::kPotts
                         : values.ndim() == 1 ? Compatibility::Kind::kDiagonal
                                              : Compatibility::Kind::kMatrix;
    if (values.ndim() > 2 || (values.ndim() == 2 && values.shape(0) != values.shape(1)) || values.size() == 0)
        throw py::value_error("a compatibility is a number, [L] or [L, L]");
    compatibility.values.assign(values.data(), values.data() + values.size());
    return compatibility;
}

inline Normalization normalization_of(const std::string& wanted) {
    const std::pair<const char*, Normalization> names[] = {{"none", Normalization::kNone},
                                                           {"before", Normalization::kBefore},
                                                           {"after", Normalization::kAfter},
                                                           {"symmetric", Normalization::kSymmetric}};
    for (const auto& [name, value] : names)
        if (wanted == name) return value;
    throw py::value_error("unknown normalization " + wanted);
}

inline Scores scores_of(const std::string& kind) {
    return kind == "probabilities" ? Scores::kProbabilities
           : kind == "logits"      ? Scores::kLogits
                                   : Scores::kEnergies;
}

// Keys have room for features of so many sigmas; a negative one would be less than none.
inline void check_sigmas(const std::vector<float>& sigmas) {
    for (const float sigma : sigmas)
        if (!(sigma > 0) || std::isinf(sigma)) throw py::value_error("sigmas are positive and finite");
}

inline void check_term(const Term& term) {
    check_sigmas(term.position_sigma);
    check_sigmas(term.channel_sigma);
    if (term.dims() < 1 || term.dims() > kMaxDims)
        throw py::value_error("a term has 1 to " + std::to_string(kMaxDims) + " feature dimensions");
    if (term.channel_sigma.size() > static_cast<size_t>(term.channels.count))
        throw py::value_error("a term has more sigmas than there are channels");
}

inline void check_grid(const std::vector<int64_t>& shape, const Term& term) {
    if (term.position_sigma.size() > shape.size())
        throw py::value_error("a term has more sigmas than there are axes");
}

// How many labels the compatibilities ask for; 0 where any number will do.
inline py::ssize_t labels_of(const std::vector<Term>& terms) {
    py::ssize_t labels = 0;
    for (const Term& term : terms) {
        const Compatibility& compatibility = term.compatibility;
        if (compatibility.kind == Compatibility::Kind::kPotts) continue;
        const auto size = static_cast<py::ssize_t>(compatibility.kind == Compatibility::Kind::kDiagonal
                                                       ? compatibility.values.size()
                                                       : std::lround(std::sqrt(compatibility.values.size())));
        if (labels != 0 && labels != size)
            throw py::value_error("compatibilities are of different numbers of labels");
        labels = size;
    }
    return labels;
}

inline py::dict dict_of(const Survey& survey) {
    py::dict found;
    found["min"] = survey.min;
    found["max"] = survey.max;
    found["sum_min"] = survey.sum_min;
    found["sum_max"] = survey.sum_max;
    found["not_finite"] = survey.not_finite;
    return found;
}

}  // namespace densecrf
