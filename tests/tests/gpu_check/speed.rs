//! Measures each kernel at the sizes of the real models, next to the time that its arithmetic and
//! its memory traffic would take at rates that such kernels reach.

use std::time::Instant;

use sam2_engine::{Device, Precision};
use sam2_model::kernels::{
    self, Activation, FusedLinear, Rotation, WindowAttention, fused_linear_chain,
};
use sam2_model::layer_norm_2d::LayerNorm2d;
use sam2_model::nn::conv::ConvTranspose2dConfig;
use sam2_model::nn::{Linear, LinearConfig};
use sam2_model::resize::{Interpolation, Resize};
use sam2_model::{FloatDType, Tensor};
use sam2_tests::device::device;

use crate::gpu_kernels::{convolution, on};

/// Rates that kernels of this kind reach, in 1e12 per second: f16 operations in linear layers and
/// in attention, f32 operations, and bytes. The rates are estimates from each GPU's data sheet,
/// made before anything was measured.
struct Rates {
    name: &'static str,
    linear: f64,
    attention: f64,
    f32: f64,
    memory: f64,
}

const RATES: [Rates; 3] = [
    Rates { name: "H200", linear: 363.0, attention: 297.0, f32: 40.0, memory: 4.0 },
    Rates { name: "A100", linear: 187.0, attention: 156.0, f32: 12.0, memory: 1.4 },
    Rates { name: "T4", linear: 29.0, attention: 26.0, f32: 4.0, memory: 0.24 },
];

/// Minimum time of a launch in microseconds: the host cannot submit launches faster.
const LAUNCH: f64 = 10.0;

#[derive(Clone, Copy)]
enum Kind {
    Linear,
    Attention,
    F32,
}

struct Case {
    name: String,
    kind: Kind,
    /// Number of operations and of bytes.
    work: [f64; 2],
    /// Number of launches per run.
    launches: usize,
    run: Box<dyn Fn()>,
}

/// Returns the divisor of sizes, for a rehearsal on a software device.
fn divisor() -> usize {
    std::env::var("SAM2_CHECK_DIVISOR").map_or(1, |text| text.parse().unwrap())
}

/// Returns values in `format`, cast as a vector. If rows of several axes were cast, CUDA would
/// leave gaps between them, and each run would begin with a copy.
fn in_format<const D: usize>(
    seed: u64,
    shape: [usize; D],
    format: FloatDType,
    device: &Device,
) -> Tensor<D> {
    on::<1>(seed, [shape.iter().product()], device).cast(format).reshape(shape)
}

fn layer(inputs: usize, outputs: usize, format: FloatDType, device: &Device) -> Linear {
    let mut layer = LinearConfig::new(inputs, outputs).init(device);
    layer.weight = layer.weight.map(|_| in_format(1, [inputs, outputs], format, device));
    layer
}

fn linear_case(
    name: &str,
    [rows, inputs, outputs]: [usize; 3],
    activation: Activation,
    format: FloatDType,
    device: &Device,
) -> Case {
    let rows = rows / divisor();
    let layer = layer(inputs, outputs, format, device);
    let x = in_format(1, [1, rows, inputs], format, device);
    let bytes = 2 * (rows * (inputs + outputs) + inputs * outputs);
    Case {
        name: format!("linear layer, {name}: {rows} x {inputs} x {outputs}"),
        kind: Kind::Linear,
        work: [(2 * rows * inputs * outputs) as f64, bytes as f64],
        launches: 1,
        run: Box::new(move || {
            let fused = FusedLinear::new(&layer).activated(activation).for_products();
            fused.forward(x.clone());
        }),
    }
}

fn attention_case(
    name: &str,
    [heads, n, m, width, value_width]: [usize; 5],
    format: FloatDType,
    device: &Device,
) -> Case {
    let (n, m) = (n / divisor(), m / divisor());
    let head = |tokens: usize, width: usize| {
        in_format(1, [1, tokens, heads, width], format, device).swap_dims(1, 2)
    };
    let (q, k, v) = (head(n, width), head(m, width), head(m, value_width));
    Case {
        name: format!("attention, {name}: {heads} x {n} x {m}, {width} and {value_width}"),
        kind: Kind::Attention,
        work: [
            (2 * heads * n * m * (width + value_width)) as f64,
            (2 * heads * (n * width + m * width + m * value_width + n * value_width)) as f64,
        ],
        // Where cubes share keys, a second launch adds up their results.
        launches: 2,
        run: Box::new(move || {
            kernels::attention(q.clone(), k.clone(), v.clone());
        }),
    }
}

fn window_case(
    name: &str,
    [size, channels, heads, side]: [usize; 4],
    format: FloatDType,
    device: &Device,
) -> Case {
    let size = size / divisor().isqrt();
    let qkv = in_format(1, [1, size, size, 3 * channels], format, device);
    let outside = on(1, [3 * channels], device);
    let places = size * size;
    Case {
        name: format!("windows, {name}: {places} places x {channels}, {heads} heads, side {side}"),
        kind: Kind::Attention,
        work: [(4 * places * side * side * channels) as f64, (8 * places * channels) as f64],
        launches: 1,
        run: Box::new(move || {
            WindowAttention { heads, side }.forward(qkv.clone(), None, outside.clone());
        }),
    }
}

/// Returns the case of a step in f32 that reads and writes each number once.
fn f32_case(name: &str, operations: usize, numbers: usize, run: impl Fn() + 'static) -> Case {
    Case {
        name: name.to_owned(),
        kind: Kind::F32,
        work: [operations as f64, (4 * numbers) as f64],
        launches: 1,
        run: Box::new(run),
    }
}

fn linear_and_attention(format: FloatDType, device: &Device) -> Vec<Case> {
    use Activation::{Gelu, Identity, Relu};
    let linear =
        |name: &str, sizes, activation| linear_case(name, sizes, activation, format, device);
    let attention = |name: &str, sizes| attention_case(name, sizes, format, device);
    let window = |name: &str, sizes| window_case(name, sizes, format, device);
    let mut cases = vec![
        linear("tiny, first stage, queries keys values", [65_536, 96, 288], Identity),
        linear("tiny, first stage, perceptron in", [65_536, 96, 384], Gelu),
        linear("tiny, third stage, perceptron in", [4096, 384, 1536], Gelu),
        linear("tiny, third stage, perceptron out", [4096, 1536, 384], Identity),
        linear("large, third stage, queries keys values", [4096, 576, 1728], Identity),
        linear("large, third stage, perceptron in", [4096, 576, 2304], Gelu),
        linear("memory attention, feed-forward in", [4096, 256, 2048], Relu),
        linear("memory attention, feed-forward out", [4096, 2048, 256], Identity),
        attention("memory attention to memories", [1, 4096, 28_736, 256, 64]),
        attention("memory attention to itself", [1, 4096, 4096, 256, 256]),
        attention("tiny, global", [4, 4096, 4096, 96, 96]),
        attention("large, global", [8, 4096, 4096, 72, 72]),
        window("tiny, first stage", [256, 96, 1, 8]),
        window("tiny, third stage", [64, 384, 4, 14]),
        window("large, third stage", [64, 576, 8, 16]),
    ];
    // The keys of all layers in one product, rotated.
    let (rows, tokens) = (28_736 / divisor(), 4096 / divisor());
    let keys = layer(64, 1024, format, device);
    let table = |seed: u64| on(seed, [1, tokens, 128], device);
    let (cos, sin) = (table(1), table(2));
    let x = in_format(1, [1, rows, 64], format, device);
    cases.push(Case {
        name: format!("linear layer, turned keys of all layers: {rows} x 64 x 1024"),
        kind: Kind::Linear,
        work: [(2 * rows * 64 * 1024) as f64, (2 * rows * (64 + 1024)) as f64],
        launches: 1,
        run: Box::new(move || {
            let turned = rows / tokens * tokens;
            let rotation = Rotation { cos: &cos, sin: &sin, turned, outputs: 1024 };
            FusedLinear::new(&keys).for_products().rotated(rotation).forward(x.clone());
        }),
    });
    cases
}

fn others(device: &Device) -> Vec<Case> {
    let by = divisor().isqrt();
    let mut cases = Vec::new();
    let rows = 65_536 / divisor();
    let x = on(1, [1, rows, 96], device);
    let (weight, bias) = (on(1, [96], device), on(1, [96], device));
    cases.push(f32_case("norm of rows, 65,536 x 96", 8 * rows * 96, 2 * rows * 96, move || {
        kernels::layer_norm(x.clone(), weight.clone(), bias.clone(), 1e-6);
    }));

    let side = 1024 / by;
    let image = on(1, [1, 3, side, side], device);
    let patches = convolution([3, 96], [7, 4, 3], 1, true, device);
    let places = (side / 4).pow(2);
    cases.push(f32_case(
        "patches, 3 x 1024 x 1024 to 96 x 256 x 256",
        2 * places * 96 * 147,
        3 * side * side + 96 * places,
        move || {
            kernels::convolution(&patches, None, image.clone());
        },
    ));

    let masks = on(1, [1, 4, side / 2, side / 2], device);
    let step = convolution([4, 16], [3, 2, 1], 1, true, device);
    let norm = LayerNorm2d::init(16, device);
    cases.push(f32_case(
        "mask down-sampler, 4 x 512 x 512 to 16 x 256 x 256",
        2 * places * 16 * 36,
        4 * side * side / 4 + 16 * places,
        move || {
            kernels::convolution(&step, Some(&norm), masks.clone());
        },
    ));

    let side = 64 / by;
    let map = on(1, [1, side, side, 256], device).permute([0, 3, 1, 2]);
    let depthwise = convolution([256, 256], [7, 1, 3], 256, true, device);
    let tokens = side * side;
    let of_map = map.clone();
    cases.push(f32_case(
        "depthwise convolution, 256 x 64 x 64",
        2 * tokens * 256 * 49,
        2 * tokens * 256,
        move || {
            kernels::depthwise_convolution(&depthwise, of_map.clone());
        },
    ));

    let up = ConvTranspose2dConfig::new([256, 64], [2, 2]).with_stride([2, 2]).init(device);
    let (add, norm) = (on(1, [1, 64, 2 * side, 2 * side], device), LayerNorm2d::init(64, device));
    cases.push(f32_case(
        "transposed convolution, 256 x 64 x 64 to 64 x 128 x 128",
        2 * tokens * 256 * 64 * 4,
        tokens * (256 + 8 * 64),
        move || {
            kernels::transposed_convolution(&up, Some(&norm), map.clone(), &add);
        },
    ));

    let (filters, maps) = (on(1, [1, 4, 32], device), on(1, [1, 4 * side, 4 * side, 32], device));
    let maps = maps.permute([0, 3, 1, 2]);
    cases.push(f32_case(
        "mask product, 4 x 32 x 256 x 256",
        2 * 16 * tokens * 4 * 32,
        16 * tokens * (32 + 4),
        move || {
            kernels::mask_product(filters.clone(), maps.clone());
        },
    ));

    let logits = on(1, [1, 1, 4 * side, 4 * side], device);
    let (from, to) = ([4 * side; 2], [16 * side; 2]);
    let resize = Resize::new(Interpolation::Bilinear, from, to, device);
    cases.push(f32_case(
        "logits to the image's size, 256 x 256 to 1024 x 1024",
        8 * 256 * tokens,
        (16 + 256) * tokens,
        move || {
            resize.forward(logits.clone());
        },
    ));

    // Token by token: a perceptron on nine rows.
    let (wide, narrow) =
        (layer(256, 2048, FloatDType::F32, device), layer(2048, 256, FloatDType::F32, device));
    let tokens = on(1, [1, 9, 256], device);
    let mut chain = f32_case(
        "perceptron of the decoder, 9 x 256 x 2048 x 256",
        2 * 2 * 9 * 256 * 2048,
        2 * 256 * 2048,
        move || {
            let wide = FusedLinear::new(&wide).activated(Activation::Relu);
            fused_linear_chain(&[wide, FusedLinear::new(&narrow)], tokens.clone());
        },
    );
    chain.launches = 2;
    cases.push(chain);
    cases
}

/// Measures the microseconds per run: the median of several series of runs, with one
/// synchronisation per series.
fn microseconds(case: &Case, device: &Device) -> f64 {
    let runs = if divisor() > 1 { 1 } else { 20 };
    (case.run)();
    device.sync().unwrap();
    let mut rounds: Vec<f64> = (0..if divisor() > 1 { 1 } else { 7 })
        .map(|_| {
            let started = Instant::now();
            (0..runs).for_each(|_| (case.run)());
            device.sync().unwrap();
            started.elapsed().as_secs_f64() * 1e6 / runs as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

#[test]
fn kernels_beside_what_is_expected() {
    let device = device();
    let gpu = std::env::var("SAM2_CHECK_GPU").unwrap_or_else(|_| "H200".to_owned());
    let rates = RATES.iter().find(|rates| rates.name == gpu).expect("SAM2_CHECK_GPU");
    let format = [(Precision::F16, FloatDType::F16), (Precision::Bf16, FloatDType::BF16)]
        .into_iter()
        .find(|(precision, _)| precision.on(&device).is_ok())
        .map_or(FloatDType::F32, |(_, format)| format);
    println!("products in {format:?}; expected on a {gpu}; sizes divided by {}", divisor());
    println!("| step | us | expected us | ratio |");
    println!("|---|---|---|---|");
    let cases = linear_and_attention(format, &device).into_iter().chain(others(&device));
    let only = std::env::var("SAM2_CHECK_ONLY").unwrap_or_default();
    for case in cases.filter(|case| case.name.contains(&only)) {
        let rate = match case.kind {
            Kind::Linear => rates.linear,
            Kind::Attention => rates.attention,
            Kind::F32 => rates.f32,
        };
        let [operations, bytes] = case.work;
        let expected = (operations / rate / 1e6).max(bytes / rates.memory / 1e6);
        let expected = expected.max(LAUNCH * case.launches as f64);
        let taken = microseconds(&case, &device);
        let ratio = taken / expected;
        let mark = if ratio > 2.0 { " **more than twice**" } else { "" };
        println!("| {} | {taken:.1} | {expected:.1} | {ratio:.2}{mark} |", case.name);
        assert!(taken.is_finite());
    }
}
