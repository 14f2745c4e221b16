"""How often the instructions of a program run: in the compilers' notations, and in a real one."""

import jax
import jax.numpy as jnp
import pytest

from alexnet_jax.diagnosis.program_text import executed_lines


def program(condition, loop=""):
    return f"""
%fused (p: f32[4]) -> f32[4] {{
  ROOT %inner = f32[4]{{0}} negate(%p)
}}

%inside (p: f32[4]) -> f32[4] {{
  %twice = f32[4]{{0}} add(%p, %p)
}}

%condition (p: f32[4]) -> pred[] {{
  {condition}
}}

ENTRY %main (p: f32[4]) -> f32[4] {{
  %once = f32[4]{{0}} fusion(%p), kind=kLoop, calls=%fused
  %while = f32[4]{{0}} while(%once), condition=%condition, body=%inside{loop}
}}
"""


def times(text):
    return {line.split()[0]: count for line, count in executed_lines(text) if line.strip("}")}


UP_TO_5 = "%n = s32[]{:T(128)} constant(5)\n  ROOT %c = pred[] compare(%i, %n), direction=LT"


@pytest.mark.parametrize(
    ("condition", "loop", "count"),
    [
        ("", ', backend_config={"known_trip_count":{"n":"4"}}', 4),
        (UP_TO_5, "", 5),
        ("ROOT %c = pred[] compare(%loss, %limit), direction=LT", "", 1),
        (UP_TO_5.replace("LT", "GT"), "", 1),
    ],
)
def test_the_length_of_a_loop(condition, loop, count):
    assert times(program(condition, loop)) == {"%once": 1, "%twice": count}


def test_loops_in_loops_multiply():
    def outer(x, _):
        return jax.lax.scan(lambda y, _: (jnp.sin(y), None), x, None, length=3)[0], None

    def nested(x):
        return jax.lax.scan(outer, x, None, length=5)[0]

    text = jax.jit(nested).lower(jnp.zeros(7)).compile().as_text()
    assert max(count for _, count in executed_lines(text)) == 15
