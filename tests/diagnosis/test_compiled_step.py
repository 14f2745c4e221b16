"""Reading the programs of chips' compilers; the texts are shortened ones of theirs."""

from alexnet_jax.diagnosis.compiled_step import StepCost, read_cycles, read_kernels

TPU = """
ENTRY %main (p: bf16[1]) -> bf16[1] {
  %fusion.4 = bf16[128,55,55,96]{0,3,2,1:T(8,128)(2,1)} fusion(%copy.1), kind=kOutput, \
metadata={op_name="jit(train_step)/jvp(AlexNet)/conv1_lrn/AlexNet._apply/dot_general"}, \
backend_config={"window_config":{"estimated_cycles":"504066"}}
  %fusion.5 = f32[9216,4096]{1,0} fusion(%a, %b), kind=kLoop, \
metadata={op_name="jit(train_step)/add"}, backend_config={"estimated_cycles":"1710624"}
  %fusion.6 = bf16[96]{0} fusion(%c), metadata={op_name="jit(train_step)/transpose(jvp(AlexNet))\
/conv1/reduce_sum"}, backend_config={"estimated_cycles":"100"}
  %copy.1 = bf16[1]{0} copy(%p), metadata={op_name="jit(train_step)/conv1"}
}
"""

GPU = """HloModule jit_train_step

%fused (p: f32[4]) -> f32[4] {
  ROOT %inner = f32[4]{0} add(%p, %p)
}

ENTRY %main (a: f32[8,16], b: bf16[16]) -> (f32[8,16], bf16[16]) {
  %a = f32[8,16]{1,0} parameter(0)
  %b = bf16[16]{0} parameter(1)
  %fusion.1 = f32[8,16]{1,0} fusion(%a, %b), kind=kLoop, calls=%fused, \
metadata={op_name="jit(train_step)/jvp(AlexNet)/conv2/add"}
  %call.2 = (f32[8,16]{1,0}, u8[100]{0}) custom-call(%fusion.1), \
metadata={op_name="jit(train_step)/transpose(jvp(AlexNet))/fc6/dot_general"}
  %get-tuple-element.3 = f32[8,16]{1,0} get-tuple-element(%call.2), index=0
  ROOT %tuple.4 = (f32[8,16]{1,0}, bf16[16]{0}) tuple(%get-tuple-element.3, %b)
}
"""


LOOP = """
%body.1 (p.1: (s32[], u8[8])) -> (s32[], u8[8]) {
  %x = u8[8]{0} get-tuple-element(%p.1), index=1
  %copy.2 = u8[8]{0} copy(%x), backend_config={"estimated_cycles":"300728"}
}

%cond.1 (p.2: (s32[], u8[8])) -> pred[] {
  %i = s32[] get-tuple-element(%p.2), index=0
  %constant.7 = s32[]{:T(128)} constant(128)
  ROOT %compare.1 = pred[] compare(%i, %constant.7), direction=LT
}

ENTRY %main (a: u8[8]) -> (s32[], u8[8]) {
  ROOT %while.1 = (s32[], u8[8]) while(%tuple.1), condition=%cond.1, body=%body.1
}
"""


def cost(operations):
    return StepCost(4, 512, tuple(operations), 0, 0, 0, 0, 0)


def test_cycles_are_read_with_their_layer_dearest_first():
    found = read_cycles(TPU)
    assert [(each.layer, each.cycles) for each in found] == [
        ("other", 1710624), ("conv1_lrn", 504066), ("conv1", 100),
    ]  # fmt: skip
    assert cost(found).cycles == 1710624 + 504066 + 100


def test_bytes_of_a_tpu_are_those_that_leave_the_chip():
    text = """
ENTRY %main (p: bf16[1]) -> bf16[1] {
  %a = f32[1024,1024]{1,0:T(8,128)} parameter(0)
  %copy-start.1 = (f32[1024,1024]{1,0:T(8,128)S(1)}, f32[1024,1024]{1,0:T(8,128)}, \
u32[]{:S(2)}) copy-start(%a)
  %copy-done.1 = f32[1024,1024]{1,0:T(8,128)S(1)} copy-done(%copy-start.1)
  %fusion.1 = (bf16[1024,1024]{1,0:T(8,128)(2,1)}, /*index=1*/bf16[8]{0:T(256)}) \
fusion(%copy-done.1, /*index=1*/%a), backend_config={"estimated_cycles":"7"}
  %gte.1 = bf16[1024,1024]{1,0:T(8,128)(2,1)} get-tuple-element(%fusion.1), index=0
  %select-and-scatter.1 = bf16[1024,1024]{1,0:T(8,128)(2,1)S(1)} select-and-scatter(%gte.1)
}
"""
    fusion, scatter = read_cycles(text)
    assert (fusion.cycles, fusion.bytes) == (7, 2 * 2**20 + 16 + 4 * 2**20)
    assert (scatter.cycles, scatter.bytes) == (0, 2 * 2**20)
    assert scatter.text.startswith("select-and-scatter bf16[1024,1024]")


def test_kernels_move_what_they_read_and_write():
    found = read_kernels(GPU)
    assert [(each.layer, each.bytes) for each in found] == [
        ("conv2", 512 + 512 + 32),
        ("fc6", 512 + 512 + 100),
    ][::-1]


def test_layers_come_in_the_networks_order():
    sums = cost(read_cycles(TPU)).by_layer()
    assert list(sums) == ["conv1", "conv1_lrn", "other"]
    assert sums["conv1_lrn"] == (1, 504066, 2 * 128 * 55 * 55 * 96)


OUTSIDE = """
ENTRY %main (a: f32[4]) -> f32[4] {
  %state_opt_state_2__trace__fc8____kernel__.1 = f32[4]{0} parameter(0)
  %state_params__fc8____kernel__.1 = f32[4]{0} parameter(1)
  %f.1 = f32[4]{0} fusion(%state_opt_state_2__trace__fc8____kernel__.1)
  %copy.1 = f32[4]{0} copy(%f.1)
  %f.2 = f32[4]{0} fusion(%f.1), metadata={op_name="jit(train_step)/jvp(AlexNet)/AlexNet._drop/add"}
  %f.3 = f32[4]{0} fusion(%f.1), metadata={op_name="jit(train_step)/jit(_threefry_split)/add"}
  %f.4 = f32[4]{0} fusion(%f.1), metadata={op_name="jit(train_step)/transpose(jvp())/mul"}
  %f.5 = f32[4]{0} fusion(%f.1), metadata={op_name="jit(f)/jvp(AlexNet)/convert_element_type"}
  %f.6 = f32[4]{0} fusion(%state_params__fc8____kernel__.1)
}
"""


def test_what_is_outside_the_layers_is_grouped_by_what_it_is_for():
    assert [each.layer for each in read_kernels(OUTSIDE)] == [
        "update", "copies", "dropout", "random numbers", "loss", "images", "fc8",
    ]  # fmt: skip


def test_what_a_loop_runs_counts_each_time():
    (copied,) = read_cycles(LOOP)
    assert (copied.times, copied.cycles) == (128, 128 * 300728)
    kernels = read_kernels(LOOP)
    assert (cost(kernels).kernels, kernels[0].bytes) == (128, 128 * (8 + 8))
    assert cost(kernels).by_layer() == {"copies": (128, 0, 128 * 16)}
