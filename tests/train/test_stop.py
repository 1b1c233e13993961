from __future__ import annotations

import signal
import threading

import pytest

from homeroom.train.stop import StopSignals


class Ended(BaseException):
    pass


@pytest.fixture
def handler():
    def end(*_):
        raise Ended

    before = signal.signal(signal.SIGTERM, end)
    yield end
    signal.signal(signal.SIGTERM, before)


def test_a_first_signal_waits_to_be_obeyed_and_a_second_does_not(handler):
    with StopSignals() as stop:
        stop.obey()
        signal.raise_signal(signal.SIGTERM)
        assert stop.wanted == signal.SIGTERM
        with pytest.raises(Ended):
            stop.obey()
    with StopSignals():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Ended):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is handler


def test_outside_the_main_thread_signals_are_left_alone(handler):
    seen = []

    def work():
        with StopSignals() as stop:
            seen.append((signal.getsignal(signal.SIGTERM), stop.wanted))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(handler, 0)]
