"""A stepper that is fed in any order, beside one that is fed rightly: they make the same run."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from runs import cases, latent
from sonar_sampler import Denoise, Done, Noise, NumericError, ProtocolError, SonarError, Stepper


def state(stepper):
    try:
        request = repr(stepper.request())
    except ProtocolError as error:
        request = str(error)
    arrays = (stepper.x, stepper.history, stepper.momentum_d)
    return stepper.step, request, [None if array is None else array.tobytes() for array in arrays]


class Feeding(RuleBasedStateMachine):
    stepper = None

    @initialize(case=cases())
    def start(self, case):
        x, sigmas, config, reference, history = case
        self.stepper, self.twin = (Stepper(config, sigmas, x, reference=reference, history=history) for _ in range(2))
        self.x, self.kept, self.ended, self.answered = x, [], False, None

    def both(self, deed):
        """Does the same to both; they agree about errors too."""
        errors = []
        for stepper in (self.stepper, self.twin):
            try:
                deed(stepper)
                errors.append(None)
            except NumericError as error:  # noqa: PERF203
                errors.append(str(error))
        assert errors[0] == errors[1]
        self.ended = errors[0] is not None

    def is_ahead(self):
        """Whether the model is asked for a second time in a step."""
        return self.answered == self.stepper.step

    def asked(self):
        return None if self.ended else self.stepper.request()

    @precondition(lambda self: isinstance(self.asked(), Denoise))
    @rule(seed=st.integers(0, 9), way=st.sampled_from(["new", "own input", "view", "kept"]))
    def answer(self, seed, way):
        x = self.stepper.request().x
        self.kept.append((x, x.tobytes()))
        array = {"new": latent(seed, x.shape, x.dtype), "own input": x, "view": x[::-1], "kept": self.kept[0][0]}[way]
        then = array.copy()
        self.answered = self.stepper.step
        self.both(lambda stepper: stepper.feed(array if stepper is self.stepper else then))
        self.nothing_is_taken_before_it_is_asked_for(then)

    @precondition(lambda self: isinstance(self.asked(), Noise))
    @rule(seed=st.one_of(st.none(), st.integers(0, 9)))
    def noise(self, seed):
        array = latent(seed or 0, self.x.shape, self.x.dtype, scale=1.0)
        self.both(lambda stepper: stepper.draw() if seed is None else stepper.feed(array))
        self.nothing_is_taken_before_it_is_asked_for(array)

    def nothing_is_taken_before_it_is_asked_for(self, array):
        for early in (lambda: self.stepper.feed(array), self.stepper.draw):
            with pytest.raises(ProtocolError):
                early()

    @precondition(lambda self: self.stepper is not None)
    @rule(way=st.sampled_from([copy.copy, copy.deepcopy, lambda stepper: pickle.loads(pickle.dumps(stepper))]))
    def go_on_with_a_copy(self, way):
        self.stepper = way(self.stepper)

    @precondition(lambda self: isinstance(self.asked(), Denoise) and not self.is_ahead())
    @rule(seed=st.integers(0, 9))
    def replace(self, seed):
        self.both(lambda stepper: stepper.replace_x(latent(seed, self.x.shape, self.x.dtype)))

    @rule(
        deed=st.sampled_from(["feed", "replace_x"]),
        wrong=st.sampled_from([None, 3, "x", np.zeros(3), np.zeros((1, 1, 1, 1, 1, 1)), np.zeros((2, 2), int)]),
    )
    def feed_wrongly(self, deed, wrong):
        before = state(self.stepper)
        with pytest.raises(SonarError):
            getattr(self.stepper, deed)(wrong)
        assert state(self.stepper) == before

    @precondition(lambda self: not isinstance(self.asked(), Noise))
    @rule()
    def draw_unasked(self):
        before = state(self.stepper)
        with pytest.raises(ProtocolError):
            self.stepper.draw()
        assert state(self.stepper) == before

    @precondition(lambda self: isinstance(self.asked(), (Noise, Done)))
    @rule()
    def replace_unasked(self):
        before = state(self.stepper)
        with pytest.raises(ProtocolError):
            self.stepper.replace_x(self.x)
        assert state(self.stepper) == before

    @rule()
    def scribble_on_copies(self):
        for array in (self.stepper.history, self.stepper.momentum_d):
            if array is not None:
                array.fill(99)

    @invariant()
    def both_make_the_same_run(self):
        if self.stepper is not None:
            assert state(self.stepper) == state(self.twin)
            assert self.ended or np.isfinite(self.stepper.x).all()
            for held, then in self.kept:
                assert held.tobytes() == then


TestFeeding = Feeding.TestCase
