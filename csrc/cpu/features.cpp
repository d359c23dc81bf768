#include "features.h"

#include <algorithm>
#include <cmath>

namespace densecrf::cpu {

float Features::channel(int64_t point, int c) const {
    const int64_t at = point * channels_.point_stride + c * channels_.channel_stride;
    return channels_.type == ChannelType::kUint8
               ? static_cast<float>(static_cast<const uint8_t*>(channels_.data)[at])
               : static_cast<const float*>(channels_.data)[at];
}

void Features::max_abs(double* max_abs) const {
    int j = 0;
    for (float sigma : term_.position_sigma) {
        const int64_t size = grid_.shape[grid_.shape.size() - 1 - j];
        max_abs[j++] = static_cast<double>(size - 1) / sigma;
    }
    const int64_t points = grid_.points();
    for (size_t c = 0; c < term_.channel_sigma.size(); ++c) {
        float largest = channels_.type == ChannelType::kUint8 ? 255.0f : 0.0f;
        if (channels_.type == ChannelType::kFloat32)
            for (int64_t i = 0; i < points; ++i)
                largest = std::max(largest, std::fabs(channel(i, static_cast<int>(c))));
        max_abs[j++] = static_cast<double>(largest) / term_.channel_sigma[c];
    }
}

void Features::load(int64_t first, int count, FeatureLanes& out) const {
    int64_t point[kLanes], left[kLanes];  // left: the part of the index not yet taken up by faster axes
    for (int l = 0; l < kLanes; ++l) left[l] = point[l] = first + std::min(l, count - 1);
    int j = 0;
    for (float sigma : term_.position_sigma) {
        const int64_t size = grid_.shape[grid_.shape.size() - 1 - j];
        for (int l = 0; l < kLanes; ++l) {
            out[j][l] = static_cast<float>(left[l] % size) / sigma;
            left[l] /= size;
        }
        ++j;
    }
    for (size_t c = 0; c < term_.channel_sigma.size(); ++c, ++j)
        for (int l = 0; l < kLanes; ++l)
            out[j][l] = channel(point[l], static_cast<int>(c)) / term_.channel_sigma[c];
}

}  // namespace densecrf::cpu
