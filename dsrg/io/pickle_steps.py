"""The steps of a pickle, looked at before any of them is taken."""

import pickle
import pickletools
from array import array

FREE = -1
MOST_PARTS = 1 << 22  # of a thing in a pickle; an array is one, its numbers being bytes


def check_steps(file):
    """Refuse what costs more than the file is worth: places of the memo beyond the steps so far, and doubling.

    The unpickler makes a table up to a place of the memo. And a few hundred steps that put a thing twice into a pair,
    that pair twice into a pair and so on, make what no hash and no array comes to the end of: so the parts of each
    thing are counted as if none were shared.

    Parameters
    ----------
    file : binary file
        Read from where it stands to the end of one pickle; nothing of it is made.

    Raises
    ------
    pickle.UnpicklingError, ValueError, IndexError, KeyError
        And whatever pickletools raises for damaged bytes.
    """
    stack, memo = [], array("q")            # parts of each thing; None for a mark, and less than 0 for a free place
    remembered = 0
    for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        name = opcode.name
        if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            place = remembered if name == "MEMOIZE" else argument
            if not 0 <= place <= step:
                raise pickle.UnpicklingError(f"it remembers something at place {place} after {step} steps")
            if stack[-1] is None:
                raise pickle.UnpicklingError("it remembers a mark")
            memo.extend(FREE for _ in range(place + 1 - len(memo)))
            remembered += memo[place] == FREE
            memo[place] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            if not 0 <= argument < len(memo) or memo[argument] == FREE:
                raise pickle.UnpicklingError(f"it asks for place {argument}, where nothing is")
            stack.append(memo[argument])
        elif name == "DUP":
            stack.append(stack[-1])
        elif name == "MARK":
            stack.append(None)
        else:
            parts = 1 + sum(_taken(opcode, stack))
            if parts > MOST_PARTS:
                raise pickle.UnpicklingError(f"it holds something of more than {MOST_PARTS} parts")
            # the one dict of all images may have any number of them
            stack += [1 if name in ("SETITEM", "SETITEMS") else parts] * len(opcode.stack_after)


def _taken(opcode, stack):
    """Parts of what an opcode takes from the stack."""
    before = opcode.stack_before
    if pickletools.markobject not in before:
        return [stack.pop() or 0 for _ in before]
    taken = []
    while stack[-1] is not None:
        taken.append(stack.pop())
    stack.pop()
    return taken + [stack.pop() or 0 for _ in range(before.index(pickletools.markobject))]
