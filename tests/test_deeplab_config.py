"""deeplab.config: TOML files, the command line's keys, and the published experiments."""

from collections import Counter

import pytest

torch = pytest.importorskip("torch")
deeplab = pytest.importorskip("deeplab")

from deeplab import config, policies  # noqa: E402  # needs torch

CONFIG = """
network = "fcn8s"
[data]
kind = "voc"
root = "VOC2012"
split = "train"
[input]
crop = 321
[solver]
iterations = 100
batch = 4
base_lr = 1e-3
policy = "fixed"
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "some.toml"
    path.write_text(CONFIG)
    return path


def test_values_are_those_of_the_file_or_defaults(path):
    got = config.read(path)
    assert (got.network, got.data.root, got.input.crop, got.solver.base_lr) == ("fcn8s", "VOC2012", 321, 1e-3)
    assert (got.input.scales, got.loss.multi_scale, got.run.seed) == ((1.0,), False, 0)


def test_the_command_line_overrides_with_numbers_lists_switches_and_texts(path):
    overrides = [
        "solver.batch=8",
        "input.scales=[0.5, 1]",
        "input.mirror=false",
        "data.root=/some/where",
        "loss.mean=false",
    ]
    got = config.read(path, overrides)
    assert (got.solver.batch, got.input.scales, got.input.mirror) == (8, (0.5, 1), False)
    assert (got.data.root, got.loss.mean) == ("/some/where", False)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("solver.base_rl=1", "there is no key solver.base_rl; did you mean solver.base_lr?"),
        ("solver.crop=1", "there is no key solver.crop; did you mean input.crop?"),
        ("zzz=1", "there is no key zzz; there are network, data.kind"),
        ("solver=1", "there is no key solver; "),
        ("solver.batch", "--set needs KEY=VALUE, got 'solver.batch'"),
        ("solver.batch=0", "solver.batch must be a whole number of at least 1, got 0"),
        ("solver.batch=1.5", "solver.batch must be a whole number of at least 1, got 1.5"),
        ("solver.batch=true", "solver.batch must be a whole number of at least 1, got True"),
        ("solver.base_lr=fast", "solver.base_lr must be a number above 0, got 'fast'"),
        ("solver.base_lr=nan", "solver.base_lr must be a number above 0, got nan"),
        ("solver.momentum=1", "solver.momentum must be a number from 0 to below 1, got 1"),
        ("solver.policy=exp", "solver.policy must be one of poly, step, fixed, got 'exp'"),
        ("solver.policy=step", 'solver.step_size is missing, which solver.policy "step" needs'),
        ("solver.accumulate=3", "solver.accumulate must divide solver.batch, got 3 and 4"),
        ("input.crop=0", "solver.accumulate must be solver.batch where input.crop is 0"),
        ("input.scales=[]", "input.scales must be a list of numbers above 0, got ()"),
        ("input.scales=1", "input.scales must be a list of numbers above 0, got 1"),
        ("input.mirror=1", "input.mirror must be true or false, got 1"),
        ("solver.freeze=body", "solver.freeze must be a list of texts, got 'body'"),
        ("network=fcn4s", "network must be one of fcn32s, fcn16s"),
        ("data.root=1", "data.root must be a text, got 1"),
    ],
)
def test_what_is_wrong_is_said_with_the_key_what_it_needs_and_what_came(path, override, message):
    with pytest.raises(ValueError, match=r"some\.toml: ") as error:
        config.read(path, [override])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("crop", "corp", "there is no key input.corp; did you mean input.crop?"),
        ("[input]", "[imput]", "there is no key imput; "),
        ("batch = 4", "", "solver.batch is missing"),
        ("batch = 4", "batch = ", "Invalid value"),
        ("[data]", "[loss]\nkind = 1\n[data]", "there is no key loss.kind; did you mean data.kind?"),
        ("[data]", "[start]", "data.kind is missing"),
    ],
)
def test_mistakes_in_a_file_are_named(path, old, new, message):
    path.write_text(CONFIG.replace(old, new))
    with pytest.raises(ValueError, match=r"some\.toml: ") as error:
        config.read(path)
    assert message in str(error.value)


@pytest.mark.parametrize("crop", [0, 329, 337])
def test_crops_that_do_not_fit_all_scales_are_refused(path, crop):
    with pytest.raises(ValueError, match=f"input.crop must be 32k \\+ 1 where loss.multi_scale is true, got {crop}"):
        config.read(path, ["loss.multi_scale=true", f"input.crop={crop}", "solver.accumulate=4"])


def test_a_value_where_a_table_belongs_is_named_even_if_it_is_overridden(path):
    path.write_text("solver = 3" + CONFIG.partition("[solver]")[0])
    with pytest.raises(ValueError, match="solver must be a table, got 3"):
        config.read(path, ["solver.batch=4"])


def test_a_file_that_is_not_there_is_answered_with_the_experiments_there_are():
    with pytest.raises(FileNotFoundError, match="no file 'deeplab-v3', and no experiment; there are deeplab-v1, "):
        config.read("deeplab-v3")


# Per experiment: crop, batch, passes, iterations, first learning rate, and that of the last iteration.
RECIPES = {
    "deeplab-v1": (306, 20, 1, 6000, 1e-3, 1e-5),
    "deeplab-v1-largefov": (321, 30, 1, 6000, 1e-3, 1e-5),
    "deeplab-v1-msc": (321, 20, 1, 6000, 1e-3, 1e-5),
    "deeplab-v1-msc-largefov": (321, 30, 1, 6000, 1e-3, 1e-5),
    "deeplab-v2-resnet101": (321, 10, 10, 20000, 2.5e-4, 2.5e-4 * 5e-5**0.9),
    "deeplab-v2-resnet101-aspp": (321, 10, 10, 20000, 2.5e-4, 2.5e-4 * 5e-5**0.9),
    "deeplab-v2-resnet101-largefov": (321, 10, 10, 20000, 2.5e-4, 2.5e-4 * 5e-5**0.9),
    "deeplab-v2-resnet101-msc": (321, 10, 10, 20000, 2.5e-4, 2.5e-4 * 5e-5**0.9),
    "deeplab-v2-resnet101-msc-coco-aug": (321, 10, 10, 20000, 2.5e-4, 2.5e-4 * 5e-5**0.9),
    "deeplab-v2-vgg16-aspp-l": (321, 10, 1, 20000, 1e-3, 1e-3 * 5e-5**0.9),
    "deeplab-v2-vgg16-aspp-s": (321, 10, 1, 20000, 1e-3, 1e-3 * 5e-5**0.9),
    "deeplab-v2-vgg16-largefov": (321, 10, 1, 20000, 1e-3, 1e-3 * 5e-5**0.9),
    "fcn16s": (0, 1, 1, 100000, 1e-12, 1e-12),
    "fcn32s": (0, 1, 1, 100000, 1e-10, 1e-10),
    "fcn8s": (0, 1, 1, 100000, 1e-14, 1e-14),
}


def test_there_are_the_experiments_whose_recipe_is_known():
    assert config.published() == sorted(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_experiments_have_the_published_numbers(name):
    got = config.read(name)
    solver = got.solver
    rates = [policies.learning_rate(solver, i) for i in (0, solver.iterations - 1)]
    numbers = (got.input.crop, solver.batch, solver.accumulate, solver.iterations)
    assert numbers == RECIPES[name][:4]
    assert rates == pytest.approx(RECIPES[name][4:], rel=1e-9)
    assert (solver.momentum, solver.weight_decay) == (0.99 if "fcn" in name else 0.9, 5e-4)


# Parameters by (learning rate, decay), both in those of a plain weight, and how many tensors have none.
GROUPS = {
    "deeplab-v1-largefov": ({(1, 1): 15, (2, 0): 15, (10, 1): 1, (20, 0): 1}, 0),
    "deeplab-v1-msc": ({(1, 1): 16, (2, 0): 16}, 30),
    "deeplab-v2-vgg16-aspp-l": ({(1, 1): 21, (2, 0): 21, (10, 1): 4, (20, 0): 4}, 0),
    "deeplab-v2-resnet101-aspp": ({(1, 1): 104, (10, 1): 4, (20, 0): 4}, 208),
    "deeplab-v2-resnet101": ({(1, 1): 104, (10, 1): 1, (20, 0): 1}, 208),
    "fcn8s": ({(1, 1): 18, (2, 0): 18}, 3),
}


@pytest.mark.parametrize("name", GROUPS)
def test_experiments_have_the_published_rates_of_layers(name):
    got = config.read(name)
    with torch.device("meta"):
        network = deeplab.build(got.network)
    policies.freeze(network, got.solver.freeze)
    groups = policies.parameter_groups(network, got.solver)
    expected, frozen = GROUPS[name]
    got_groups = Counter()
    for group in groups:
        got_groups[group["rate"], group["weight_decay"] / 5e-4] += len(group["params"])
    assert got_groups == expected
    assert sum(not p.requires_grad for p in network.parameters()) == frozen
