use super::*;

const TEXT: &str = r#"
// A comment.
.version 9.5
.target sm_90a
.address_size 64
.extern .func (.param .b32 func_retval0) vprintf (.param .b64 vprintf_param_0, .param .b64 vprintf_param_1) ;
.extern .shared .align 16 .b8 sm[];
.const .align 4 .b8 table[8] = {1, 2, 0xff, 4};
.global .f32 half = 0f3F000000;
.visible .entry k(
	.param .u64 k_param_0,
	.param .align 8 .b8 k_param_1[36],
	.param .u32 k_param_2
)
.maxntid 256, 1, 1
{
	.reg .pred 	%p<3>;
	.reg .b32 	%r<4>;
	.reg .b64 	%rd<2>;
	.shared .align 2 .b8 t[64];
	.loc	1 5 31, function_name $L__info_string0, inlined_at 1 24 3
	@!%p1 bra 	$L__BB0_2;
	{.reg.b32 r1; mov.b32 r1, %r1; { .reg .b32 %r1; mov.b32 %r1, r1; } mov.b32 %r2, -5; }
	mov.u32 	%r3, %tid.x;
	ld.global.v2.b32 {%r1, %r2}, [%rd1+-8];
	shfl.sync.bfly.b32 	%r1|%p2, %r2, 16, 31, -1;
$L__BB0_2:
	{ .param .b32 param0; st.param.b32 [param0+0], %r1; }
	{ .param .b64 param0; st.param.b64 [param0+0], %rd1; }
	ret;
}
	.file	1 "/tmp/a.cu"
	.section	.debug_str
	{
$L__info_string0:
.b8 95,90
	}
"#;

#[test]
fn reads_the_parts_of_a_module() {
    let module = parse(TEXT).unwrap();
    assert_eq!(module.variables.len(), 3);
    assert_eq!(module.variables[1].init, [1, 2, 0xff, 4]);
    assert_eq!(module.variables[2].init, 0.5f32.to_le_bytes());
    let kernel = &module.functions[1];
    assert_eq!((kernel.name.as_str(), kernel.entry, kernel.max_threads), ("k", true, 256));
    let sizes: Vec<_> = kernel.params.iter().map(|p| (p.size, p.align)).collect();
    assert_eq!(sizes, [(8, 8), (36, 8), (4, 4)]);
    assert_eq!(kernel.variables[0].size, 64);
}

#[test]
fn names_of_an_inner_scope_hide_the_outer_ones() {
    let module = parse(TEXT).unwrap();
    let code = &module.functions[1].code;
    let reg = |i: usize, operand: usize| match &code[i].operands[operand] {
        Operand::Reg(reg) => reg.0,
        other => panic!("{other:?}"),
    };
    // `mov r1, %r1`; then, in the inner scope, %r1 is a new register.
    assert_eq!(reg(1, 1), 3 + 1);
    assert_eq!(reg(2, 1), reg(1, 0));
    assert!(reg(2, 0) > reg(1, 0));
    // Parameters of two calls with the same name are two different variables.
    let names: Vec<_> = code[7..9].iter().map(|s| format!("{:?}", s.operands[0])).collect();
    assert_ne!(names[0], names[1]);
}

#[test]
fn reads_operands() {
    let module = parse(TEXT).unwrap();
    let code = &module.functions[1].code;
    assert_eq!(code[0].operands, [Operand::Label(7)]);
    assert_eq!(code[0].guard, Some((Reg(1), true)));
    assert_eq!(code[3].operands[1], Operand::Imm(Imm::Int(-5i64 as u64)));
    assert_eq!(code[4].operands[1], Operand::Special("tid.x".into()));
    let Operand::Address(_, offset) = &code[5].operands[1] else { panic!() };
    assert_eq!(*offset, -8);
    assert!(matches!(code[6].operands[0], Operand::Pair(..)));
    assert_eq!(code[6].text, "shfl.sync.bfly.b32 %r1|%p2, %r2, 16, 31, -1;");
}

#[test]
fn signatures_have_no_code() {
    let module = signatures(TEXT).unwrap();
    assert_eq!(module.functions[1].params.len(), 3);
    assert!(module.functions[1].has_body && module.functions[1].code.is_empty());
}

#[test]
fn errors_name_the_line() {
    let error = parse(".version 9.5\n.target sm_90\n.nonsense\n").unwrap_err();
    assert_eq!(error.line, 3);
    let error = parse(".entry k() {\n bra nowhere;\n}").unwrap_err();
    assert_eq!(error.to_string(), "PTX line 2: the label nowhere is not defined");
}
