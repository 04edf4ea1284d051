"""The global step of every batch of a fit, counted from the batch numbers that Keras gives."""

from __future__ import annotations


class Steps:
    """Counts the batches of one fit; several of them may make one update.

    Args:
        start: batches before this fit.
        per_update: batches that the optimizer accumulates into one update.

    >>> steps = Steps(10)
    >>> steps.ran(3)
    >>> steps.end_epoch()
    >>> steps.of(0), steps.last
    ((13, True), 12)
    """

    def __init__(self, start: int, per_update: int = 1) -> None:
        self._per_update = per_update
        self._before_epoch = start
        self._in_epoch = 0

    def of(self, batch: int) -> tuple[int, bool]:
        """Return the global step of a batch of this epoch, and whether the batch completes the update."""
        step, part = divmod(self._before_epoch + batch, self._per_update)
        return step, part == self._per_update - 1

    def batches(self, done: int) -> int:
        """Return the number of batches of all fits so far, when so many batches of this epoch are done."""
        return self._before_epoch + done

    def ran(self, batches: int) -> None:
        """Take note that so many batches of this epoch are done."""
        self._in_epoch = batches

    def end_epoch(self) -> None:
        """Start counting the batches of the next epoch."""
        self._before_epoch += self._in_epoch
        self._in_epoch = 0

    def start_of_next_fit(self, counted: int) -> int:
        """Return the `start` of a further fit of the same model.

        Args:
            counted: batches that the optimizer has counted; fewer than there were if it is a new one, or if it has left some out.
        """
        missing = self.batches(self._in_epoch) - counted
        return counted + max(0, -(-missing // self._per_update)) * self._per_update

    @property
    def next(self) -> int:
        """The step of the next update."""
        return (self._before_epoch + self._in_epoch) // self._per_update

    @property
    def last(self) -> int:
        """The step of the last complete update, 0 if there was none."""
        return max(self.next - 1, 0)
