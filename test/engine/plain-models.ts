/**
 * GPT-NeoX, Llama and BERT once more, in plain float64 loops after the papers and Hugging Face's definitions: slow, and sharing
 * no code with the engine.
 */
import type { BertShape } from '../../engine/bert/bert.ts';
import type { GptNeoxShape } from '../../engine/decoder/gpt-neox.ts';
import type { LlamaShape } from '../../engine/decoder/llama.ts';
import type { ParameterSet } from '../../engine/parameters.ts';

type Vector = number[];

function linear(p: ParameterSet, name: string, x: Vector, hasBias = true): Vector {
  const weight = p.view(`${name}.weight`);
  const bias = hasBias ? p.view(`${name}.bias`) : new Float32Array(weight.length / x.length);
  return [...bias].map((b, out) => b + x.reduce((sum, value, i) => sum + value * weight[out * x.length + i]!, 0));
}

function layerNorm(p: ParameterSet, name: string, x: Vector, epsilon: number): Vector {
  const mean = x.reduce((a, b) => a + b) / x.length;
  const std = Math.sqrt(x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length + epsilon);
  return x.map((value, i) => ((value - mean) / std) * p.view(`${name}.weight`)[i]! + p.view(`${name}.bias`)[i]!);
}

/** erf by its Taylor series: exact in float64 for the small arguments of the tests. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 120; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

const gelu = (x: number) => (Math.abs(x) > 5 ? Math.max(x, 0) : x * 0.5 * (1 + erf(x / Math.SQRT2)));

const geluByTanh = (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

const add = (...xs: Vector[]) => xs[0]!.map((_, i) => xs.reduce((sum, x) => sum + x[i]!, 0));

function attend(q: Vector, keys: Vector[], values: Vector[]): Vector {
  const scores = keys.map((key) => q.reduce((sum, value, i) => sum + value * key[i]!, 0) / Math.sqrt(q.length));
  const most = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - most));
  const total = weights.reduce((a, b) => a + b);
  return q.map((_, i) => values.reduce((sum, value, j) => sum + (weights[j]! / total) * value[i]!, 0));
}

/** Logits after each token of one row. */
export function plainGptNeox(shape: GptNeoxShape, p: ParameterSet, tokens: number[]): Vector[] {
  const { width: d, heads, layerNormEpsilon: epsilon } = shape;
  const c = d / heads;
  const rotated = Math.floor(c * shape.rotaryFraction);
  const half = rotated / 2;
  const rotate = (x: Vector, position: number) =>
    x.map((value, i) => {
      if (i >= rotated) return value;
      const angle = position / shape.rotaryBase ** ((2 * (i % half)) / rotated);
      return value * Math.cos(angle) + (i < half ? -x[i + half]! : x[i - half]!) * Math.sin(angle);
    });
  const activation = shape.activation === 'gelu-tanh' ? geluByTanh : gelu;
  const table = p.view('gpt_neox.embed_in.weight');
  let states = tokens.map((token) => [...table.subarray(token * d, (token + 1) * d)]);
  for (let l = 0; l < shape.layers; l++) {
    const name = `gpt_neox.layers.${l}`;
    const qkv = states.map((x) =>
      linear(
        p,
        `${name}.attention.query_key_value`,
        layerNorm(p, `${name}.input_layernorm`, x, epsilon),
        shape.attentionBias,
      ),
    );
    // A head's rows are its query, key and value in turn.
    const part = (t: number, head: number, which: number) =>
      qkv[t]!.slice((3 * head + which) * c, (3 * head + which + 1) * c);
    states = states.map((x, t) => {
      const past = Array.from({ length: t + 1 }, (_, s) => s);
      const heads_ = Array.from({ length: heads }, (_, head) =>
        attend(
          rotate(part(t, head, 0), t),
          past.map((s) => rotate(part(s, head, 1), s)),
          past.map((s) => part(s, head, 2)),
        ),
      ).flat();
      const attended = add(x, linear(p, `${name}.attention.dense`, heads_, shape.attentionBias));
      const read = shape.parallelResidual === false ? attended : x;
      const normed = layerNorm(p, `${name}.post_attention_layernorm`, read, epsilon);
      const up = linear(p, `${name}.mlp.dense_h_to_4h`, normed);
      return add(attended, linear(p, `${name}.mlp.dense_4h_to_h`, up.map(activation)));
    });
  }
  const head = shape.tiedEmbeddings ? table : p.view('embed_out.weight');
  return states.map((state) => {
    const x = layerNorm(p, 'gpt_neox.final_layer_norm', state, epsilon);
    return Array.from({ length: shape.vocabularySize }, (_, v) =>
      x.reduce((sum, value, i) => sum + value * head[v * d + i]!, 0),
    );
  });
}

function rmsNorm(p: ParameterSet, name: string, x: Vector, epsilon: number): Vector {
  const rms = Math.sqrt(x.reduce((sum, value) => sum + value ** 2, 0) / x.length + epsilon);
  return x.map((value, i) => (value / rms) * p.view(`${name}.weight`)[i]!);
}

/** Logits after each token of one row. */
export function plainLlama(shape: LlamaShape, p: ParameterSet, tokens: number[]): Vector[] {
  const { width: d, heads, keyValueHeads = heads, headWidth: c = d / heads } = shape;
  const { attentionBias = false, layerNormEpsilon: epsilon } = shape;
  const half = c / 2;
  // After Transformers' `_compute_llama3_parameters`, which goes by wavelengths.
  const frequency = (i: number) => {
    const plain = 1 / shape.rotaryBase ** ((2 * i) / c);
    if (!shape.rotaryScaling) return plain;
    const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalLength } = shape.rotaryScaling;
    const wavelength = (2 * Math.PI) / plain;
    if (wavelength < originalLength / high) return plain;
    if (wavelength > originalLength / low) return plain / factor;
    const smooth = (originalLength / wavelength - low) / (high - low);
    return ((1 - smooth) * plain) / factor + smooth * plain;
  };
  const rotate = (x: Vector, position: number) =>
    x.map((value, i) => {
      const angle = position * frequency(i % half);
      return value * Math.cos(angle) + (i < half ? -x[i + half]! : x[i - half]!) * Math.sin(angle);
    });
  const silu = (z: number) => z / (1 + Math.exp(-z));
  const table = p.view('model.embed_tokens.weight');
  let states = tokens.map((token) => [...table.subarray(token * d, (token + 1) * d)]);
  for (let l = 0; l < shape.layers; l++) {
    const name = `model.layers.${l}`;
    const read = states.map((x) => rmsNorm(p, `${name}.input_layernorm`, x, epsilon));
    const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((which) =>
      read.map((x) => linear(p, `${name}.self_attn.${which}`, x, attentionBias !== false)),
    ) as [Vector[], Vector[], Vector[]];
    states = states.map((x, t) => {
      const past = Array.from({ length: t + 1 }, (_, s) => s);
      const attended = Array.from({ length: heads }, (_, head) => {
        const shared = Math.floor(head / (heads / keyValueHeads));
        const cut = (y: Vector, head: number) => y.slice(head * c, (head + 1) * c);
        const normed = (y: Vector, which: string) =>
          shape.queryKeyNorm ? rmsNorm(p, `${name}.self_attn.${which}`, y, epsilon) : y;
        return attend(
          rotate(normed(cut(q[t]!, head), 'q_norm'), t),
          past.map((s) => rotate(normed(cut(k[s]!, shared), 'k_norm'), s)),
          past.map((s) => cut(v[s]!, shared)),
        );
      }).flat();
      const after = add(x, linear(p, `${name}.self_attn.o_proj`, attended, attentionBias === true));
      const normed = rmsNorm(p, `${name}.post_attention_layernorm`, after, epsilon);
      const gate = linear(p, `${name}.mlp.gate_proj`, normed, false);
      const up = linear(p, `${name}.mlp.up_proj`, normed, false);
      const hidden = gate.map((z, i) => silu(z) * up[i]!);
      return add(after, linear(p, `${name}.mlp.down_proj`, hidden, false));
    });
  }
  const head = shape.tiedEmbeddings ? table : p.view('lm_head.weight');
  return states.map((state) => {
    const x = rmsNorm(p, 'model.norm', state, epsilon);
    return Array.from({ length: shape.vocabularySize }, (_, v) =>
      x.reduce((sum, value, i) => sum + value * head[v * d + i]!, 0),
    );
  });
}

/** The last states of one chunk that has no padding. */
export function plainBert(shape: BertShape, p: ParameterSet, tokens: number[]): Vector[] {
  const { width: d, heads, layerNormEpsilon: epsilon } = shape;
  const c = d / heads;
  const row = (name: string, i: number) => [...p.view(`embeddings.${name}.weight`).subarray(i * d, (i + 1) * d)];
  let states = tokens.map((token, t) =>
    layerNorm(
      p,
      'embeddings.LayerNorm',
      add(row('word_embeddings', token), row('position_embeddings', t), row('token_type_embeddings', 0)),
      epsilon,
    ),
  );
  for (let l = 0; l < shape.layers; l++) {
    const name = `encoder.layer.${l}`;
    const [q, k, v] = ['query', 'key', 'value'].map((which) =>
      states.map((x) => linear(p, `${name}.attention.self.${which}`, x)),
    ) as [Vector[], Vector[], Vector[]];
    states = states.map((x, t) => {
      const attended = Array.from({ length: heads }, (_, head) => {
        const cut = (y: Vector) => y.slice(head * c, (head + 1) * c);
        return attend(cut(q[t]!), k.map(cut), v.map(cut));
      }).flat();
      const y = layerNorm(
        p,
        `${name}.attention.output.LayerNorm`,
        add(linear(p, `${name}.attention.output.dense`, attended), x),
        epsilon,
      );
      const up = linear(p, `${name}.intermediate.dense`, y).map(gelu);
      return layerNorm(p, `${name}.output.LayerNorm`, add(linear(p, `${name}.output.dense`, up), y), epsilon);
    });
  }
  return states;
}
