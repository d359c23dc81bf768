#include "message.h"

namespace densecrf::cpu {

void message(const Passes& passes, const float* values, const Execution& execution, float* out) {
    const PointOrder& order = passes.order();
    const Planes<const float> from{values, order.points(), passes.labels()};
    const Planes<float> to{out, order.points(), passes.labels()};
    BlockedValues rows;
    passes.shape_rows(rows);
    Team team(execution, order.partitions());
    team.run([&](int thread) {
        Scratch scratch(passes.stride());
        Sums sums{rows, {}};
        float *x = scratch.x.data(), *q = scratch.q.data();
        for_each_run(order, team, thread, [&](int64_t p, const Run& run) {
            if (&run == order.begin(static_cast<int>(p))) passes.clear(p, sums, team);
            kernels().read_values(from, run.first, run.count, q, passes.stride());
            passes.splat(run, q, sums);
        });
        passes.filter(rows, team, thread);
        for_each_run(order, team, thread, [&](int64_t, const Run& run) {
            passes.slice(run, rows, nullptr, x);
            kernels().write(run.count, x, passes.stride(), kLn2, to, run.first);
        });
    });
}

}  // namespace densecrf::cpu
