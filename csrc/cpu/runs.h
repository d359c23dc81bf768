// Walking through the points of a partition, in the order of point_order.h.
#pragma once

#include "point_order.h"
#include "team.h"

namespace densecrf::cpu {

// Calls body(run) for every run of a partition, and lets the caller end it between them: a partition of a large
// picture may take seconds.
template <class Body>
void for_each_run(const PointOrder& order, int64_t partition, Team& team, const Body& body) {
    const int p = static_cast<int>(partition);
    for (const Run* run = order.begin(p); run != order.end(p); ++run) {
        team.check();
        body(*run);
    }
}

// The same for every partition: body(partition, run). Called by every thread of the team.
template <class Body>
void for_each_run(const PointOrder& order, Team& team, int thread, const Body& body) {
    team.each(thread, order.partitions(),
              [&](int64_t p) { for_each_run(order, p, team, [&](const Run& run) { body(p, run); }); });
}

}  // namespace densecrf::cpu
