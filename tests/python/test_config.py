"""The options: what is taken, what is refused, and with which words."""

import copy
import dataclasses
import decimal
import fractions
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sonar_sampler
from runs import MULTISTEP, SAMPLERS, configs, denoise, latent
from sonar_sampler import ConfigError, SonarConfig, SonarError, UnknownOptionError, sample
from sonar_sampler._core import normalize_config
from sonar_sampler.registry import default, knobs

PER_STEP = ("momentum", "momentum_hist", "ref_factor")
UNIT = ("momentum", "momentum_hist")
AT_LEAST_0 = ("eta", "s_churn", "s_tmin", "s_tmax", "s_noise", "lead_guard")
POSITIONS = ("ref_start", "ref_stop", "momentum_start", "momentum_stop")
NO_NUMBERS = [
    None,
    True,
    False,
    np.True_,
    "0.5",
    np.str_("0.5"),
    b"0.5",
    bytearray(b"\x00"),
    0.5j,
    np.complex64(0.5),
    np.complex128(0.5 + 1j),
    np.datetime64("2020-01-01"),
    object(),
    {0.5},
    {0.5: 0.5},
    (value for value in [0.5]),
    [None],
    ["0.5"],
    [True],
    [[0.5]],
    np.array([[0.5]]),
    np.array(0.5j),
    np.array(["a"]),
    10**400,
    type,
]


def refused(message="", **options):
    with pytest.raises(ConfigError) as caught:
        SonarConfig(**options)
    (name,) = options
    assert str(caught.value).startswith(f"{name} = "), caught.value
    assert message in str(caught.value), caught.value
    assert isinstance(caught.value, (SonarError, ValueError))
    return str(caught.value)


@pytest.mark.parametrize("name", [*PER_STEP, *AT_LEAST_0, *POSITIONS])
@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: repr(value)[:20])
def test_what_is_no_number_is_refused_by_name(name, value):
    assert "must be" in refused(**{name: value})


@pytest.mark.parametrize("name", UNIT)
@pytest.mark.parametrize("value", [-1e-9, 1.0000001, 2, math.nan, math.inf, -math.inf, 1e300, [0.5, 1.5], (math.nan,)])
def test_momentum_is_in_0_to_1(name, value):
    refused("must be in [0, 1]", **{name: value})


def test_a_message_shows_the_value_and_not_three_hundred_digits():
    assert refused(momentum=1e300) == "momentum = 1e300: must be in [0, 1]"
    assert refused(momentum=2) == "momentum = 2.0: must be in [0, 1]"
    assert len(refused(sampler="x" * 10_000)) < 200


@pytest.mark.parametrize("name", AT_LEAST_0)
@pytest.mark.parametrize("value", [-1e-9, -1, -math.inf, math.nan])
def test_the_others_are_at_least_0(name, value):
    refused("at least 0", **{name: value})


def test_only_s_tmax_may_be_infinite():
    assert SonarConfig(s_tmax=math.inf).s_tmax == math.inf
    for name in {*AT_LEAST_0} - {"s_tmax"}:
        refused("finite", **{name: math.inf})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [0.1, math.inf]])
def test_the_reference_factor_is_finite(value):
    refused("finite", ref_factor=value)


@pytest.mark.parametrize("name", POSITIONS)
@pytest.mark.parametrize("value", [-1, -0.1, 1.1, 12.0, math.nan, math.inf, np.int64(-1), 2**70])
def test_a_position_is_a_step_or_a_fraction(name, value):
    message = refused(**{name: value})
    assert "int" in message
    assert "fraction" in message


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("sampler", "euler a", "euler_a, euler, naive, heun, dpmpp_2m, dpmpp_2m_sde, dpmpp_sde"),
        ("sampler", "Euler", "euler_a, euler, naive, heun, dpmpp_2m, dpmpp_2m_sde, dpmpp_sde"),
        ("sampler", "", "euler_a, euler, naive, heun, dpmpp_2m, dpmpp_2m_sde, dpmpp_sde"),
        ("sampler", None, "euler_a, euler, naive, heun, dpmpp_2m, dpmpp_2m_sde, dpmpp_sde"),
        ("sampler", 0, "euler_a, euler, naive, heun, dpmpp_2m, dpmpp_2m_sde, dpmpp_sde"),
        ("sampler", b"euler", "euler_a, euler, naive, heun, dpmpp_2m, dpmpp_2m_sde, dpmpp_sde"),
        ("momentum_mode", "Lead", "classic, lead"),
        ("momentum_mode", None, "classic, lead"),
        ("momentum_hist_init", "ones", "zero, rand_init, rand_new"),
        ("momentum_hist_init", None, "zero, rand_init, rand_new"),
        ("momentum_sign", "+", "pos, neg, rand"),
        ("momentum_sign", None, "pos, neg, rand"),
        ("momentum_sign", 1, "pos, neg, rand"),
        ("momentum_sign", ["pos", "rand"], "pos, neg, rand"),
        ("momentum_sign", ["pos", 1], "pos, neg, rand"),
        ("momentum_sign", {"pos", "neg"}, "pos, neg, rand"),
        ("momentum_sign", {"pos": "neg"}, "pos, neg, rand"),
        ("ref_method", "Linear", "linear, euler"),
        ("ref_method", None, "linear, euler"),
        ("flow", 1, "True or False"),
        ("flow", "yes", "True or False"),
        ("flow", None, "True or False"),
        ("exact_last_step", 0, "True or False"),
        ("seed", -1, "in [0, 2^64)"),
        ("seed", 2**64, "in [0, 2^64)"),
        ("seed", 1.0, "in [0, 2^64)"),
        ("seed", True, "in [0, 2^64)"),
        ("seed", np.True_, "in [0, 2^64)"),
        ("seed", "1", "in [0, 2^64)"),
        ("seed", b"ab", "in [0, 2^64)"),
        ("seed", {1, 2}, "in [0, 2^64)"),
        ("seed", [1, -1], "in [0, 2^64)"),
        ("seed", [1.5], "in [0, 2^64)"),
        ("seed", [None], "in [0, 2^64)"),
        ("seed", np.array([1.0]), "in [0, 2^64)"),
    ],
)
def test_a_choice_that_is_none_is_refused_with_what_there_is(name, value, allowed):
    assert allowed in refused(**{name: value})


def test_churn_with_flow_is_refused():
    with pytest.raises(ConfigError, match=r"s_churn = 1\.0: must be 0 with flow = True"):
        SonarConfig(flow=True, s_churn=1.0)


@pytest.mark.parametrize("sampler", MULTISTEP)
def test_solvers_in_log_sigma_refuse_flow_and_say_what_to_take(sampler):
    with pytest.raises(
        ConfigError,
        match=rf"^flow = True: must be False with sampler = {sampler}: .* take one of euler_a, euler, naive, heun",
    ):
        sample(denoise, latent(), [1.0, 0.5, 0.0], SonarConfig(sampler=sampler, flow=True))


@pytest.mark.parametrize("kind", ["ref", "momentum"])
@pytest.mark.parametrize(("start", "stop"), [(3, 2), (1, 0), (0.5, 0.25), (1.0, 0.0)])
def test_a_range_that_ends_before_it_starts_is_refused(kind, start, stop):
    with pytest.raises(ConfigError, match=rf"^{kind}_start = {start}.*{kind}_stop"):
        SonarConfig(**{f"{kind}_start": start, f"{kind}_stop": stop})


@pytest.mark.parametrize("kind", ["ref", "momentum"])
@pytest.mark.parametrize(("start", "stop"), [(2, 2), (0.5, 0.5), (5, 0.1), (0.9, 1)])
def test_a_range_of_one_step_or_of_a_step_and_a_fraction_is_taken(kind, start, stop):
    """Which of a step and a fraction is first, only the number of steps tells."""
    config = SonarConfig(**{f"{kind}_start": start, f"{kind}_stop": stop})
    assert (getattr(config, f"{kind}_start"), getattr(config, f"{kind}_stop")) == (start, stop)


@pytest.mark.parametrize(
    ("wrong", "right"), [("momentun", "momentum"), ("sigma_noise", "s_noise"), ("reff_factor", "ref_factor")]
)
def test_a_misspelt_option_is_told_the_nearest_one(wrong, right):
    with pytest.raises(UnknownOptionError, match=f"{wrong} = 0.5: no such option; did you mean {right}") as caught:
        SonarConfig(**{wrong: 0.5})
    assert isinstance(caught.value, (ConfigError, TypeError))
    with pytest.raises(UnknownOptionError, match="known: sampler, momentum"):
        SonarConfig(qqq=1)


def test_replacing_an_option_checks_it_again():
    config = SonarConfig()
    with pytest.raises(ConfigError, match="momentum"):
        dataclasses.replace(config, momentum=3)
    with pytest.raises(UnknownOptionError):
        dataclasses.replace(config, momentums=0.3)


@pytest.mark.parametrize(
    "number",
    [
        0,
        0.5,
        np.float16(0.5),
        np.float32(0.5),
        np.float64(0.5),
        np.longdouble(0.5),
        np.int8(1),
        np.uint64(1),
        np.array(0.5),
        fractions.Fraction(1, 2),
        decimal.Decimal("0.5"),
    ],
    ids=lambda number: type(number).__name__,
)
def test_any_real_number_is_kept_as_a_float(number):
    for name in (*PER_STEP, *AT_LEAST_0):
        value = getattr(SonarConfig(**{name: number}), name)
        assert type(value) is float
        assert value == float(number)


def test_torch_numbers_are_numbers_too():
    torch = pytest.importorskip("torch")
    config = SonarConfig(momentum=torch.tensor(0.5), ref_factor=torch.tensor([0.25, 0.5]), seed=torch.tensor(7))
    assert (config.momentum, config.ref_factor, config.seed) == (0.5, (0.25, 0.5), 7)


@pytest.mark.parametrize("make", [list, tuple, np.array, lambda v: np.array(v, np.float32)])
def test_a_sequence_is_kept_as_a_tuple_of_floats(make):
    for name in PER_STEP:
        assert getattr(SonarConfig(**{name: make([0.5, 0.25, 1])}), name) == (0.5, 0.25, 1.0)
    assert SonarConfig(seed=make([5, 6])).seed == (5, 6) if make in (list, tuple) else True
    assert SonarConfig(momentum=np.array([0.5])).momentum == (0.5,)


def test_a_range_and_integer_arrays_are_seeds():
    assert SonarConfig(seed=range(3)).seed == (0, 1, 2)
    assert SonarConfig(seed=np.arange(3, dtype=np.uint8)).seed == (0, 1, 2)
    for seed in (0, 2**64 - 1):
        assert SonarConfig(seed=np.uint64(seed)).seed == SonarConfig(seed=[np.uint64(seed)]).seed[0] == seed
        assert type(SonarConfig(seed=np.uint64(seed)).seed) is int


def test_a_position_stays_an_int_or_a_float():
    for value, kind in ((1, int), (1.0, float), (np.int32(1), int), (np.float32(1), float), (np.array(1), int)):
        kept = SonarConfig(**dict.fromkeys(POSITIONS, value))
        assert {type(getattr(kept, name)) for name in POSITIONS} == {kind}


def test_it_is_frozen_hashable_comparable_and_travels():
    config = SonarConfig(momentum=[0.5, 0.6], momentum_sign=["pos", "neg"], seed=[1, 2])
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.momentum = 3
    assert {config: 1}[SonarConfig(momentum=(0.5, 0.6), momentum_sign=("pos", "neg"), seed=(1, 2))] == 1
    for twin in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert twin == config
    assert eval(repr(config), {"inf": math.inf, "SonarConfig": SonarConfig}) == config


@given(data=st.data(), sampler=st.sampled_from(SAMPLERS))
def test_every_config_is_what_its_repr_says(data, sampler):
    config = data.draw(configs(3, (2, 4, 8, 8), sampler))
    assert eval(repr(config), {"inf": math.inf, "SonarConfig": SonarConfig}) == config


def test_a_list_that_changes_later_does_not_change_the_config():
    momenta = [0.5, 0.6]
    config = SonarConfig(momentum=momenta)
    momenta[0] = 99
    assert config.momentum == (0.5, 0.6)


@pytest.mark.parametrize("name", [*PER_STEP, "momentum_sign"])
@pytest.mark.parametrize("length", [0, 1, 2, 4])
def test_a_sequence_of_the_wrong_length_is_counted(name, length):
    value = ["pos"] * length if name == "momentum_sign" else [0.5] * length
    with pytest.raises(ConfigError, match=rf"{name} = {length} entries: .* each of the 3 steps"):
        sample(denoise, latent(), [4.0, 3.0, 2.0, 1.0], SonarConfig(**{name: value}))


def test_every_option_is_a_knob_with_words_and_a_default_in_its_range():
    for name, knob in knobs().items():
        assert knob.label, name
        assert len(knob.help) > 20, name
        value = default(name)
        if knob.choices:
            assert value in knob.choices
        if knob.low is not None:
            assert knob.low <= value <= knob.high
            for end in (knob.low, knob.high):
                SonarConfig(**{name: end})
    for name, choices in (("sampler", SAMPLERS), ("momentum_sign", ("pos", "neg", "rand"))):
        assert set(knobs()[name].choices) == set(choices)
        for choice in choices:
            SonarConfig(**{name: choice})


def test_help_documents_each_field():
    text = " ".join(SonarConfig.__doc__.split())
    for name, knob in knobs().items():
        assert f" {name} (default " in text
        assert " ".join(knob.help.split()) in text


def test_both_languages_tell_the_same_defaults():
    assert normalize_config() == {name: getattr(SonarConfig(), name) for name in normalize_config()}
    assert set(normalize_config()) == set(knobs())


def test_the_errors_form_one_family():
    for name, also in (
        ("ConfigError", ValueError),
        ("UnknownOptionError", TypeError),
        ("LatentError", ValueError),
        ("DtypeError", TypeError),
        ("ScheduleError", ValueError),
        ("ProtocolError", RuntimeError),
        ("NumericError", ArithmeticError),
    ):
        error = getattr(sonar_sampler, name)
        assert issubclass(error, SonarError)
        assert issubclass(error, also)
        assert error.__doc__
