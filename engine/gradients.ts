/**
 * The derivatives of the tfjs kernels that the models call directly. tfjs-core alone has no gradient table: that one
 * loads only with the whole `@tensorflow/tfjs` (layers, converter, WebGL), which would add 0.2 s to the start of every
 * job. Kernels whose derivative `ops.ts` or `losses.ts` gives in closed form need no entry. tfjs refuses a kernel that is
 * missing here: "gradient function not found for ...".
 */
import * as tf from '@tensorflow/tfjs-core';

type Attributes = Record<string, unknown>;

/** Sums `dy` over the axes along which `shape` was broadcast. */
function reduceTo(dy: tf.Tensor, shape: number[]): tf.Tensor {
  const axes = tf.broadcast_util.getReductionAxes(shape, dy.shape);
  return tf.reshape(axes.length > 0 ? tf.sum(dy, axes) : dy, shape);
}

function register(
  kernelName: string,
  inputsToSave: string[],
  gradient: (dy: tf.Tensor, saved: tf.Tensor[], attributes: Attributes) => Record<string, () => tf.Tensor>,
): void {
  tf.registerGradient({
    kernelName,
    inputsToSave,
    gradFunc: (dy, saved, attributes) => gradient(dy as tf.Tensor, saved, attributes),
  });
}

register('Add', ['a', 'b'], (dy, [a, b]) => ({
  a: () => reduceTo(dy, a!.shape),
  b: () => reduceTo(dy, b!.shape),
}));

register('Sub', ['a', 'b'], (dy, [a, b]) => ({
  a: () => reduceTo(dy, a!.shape),
  b: () => reduceTo(tf.neg(dy), b!.shape),
}));

register('Multiply', ['a', 'b'], (dy, [a, b]) => ({
  a: () => reduceTo(tf.mul(dy, b!), a!.shape),
  b: () => reduceTo(tf.mul(dy, a!), b!.shape),
}));

register('Square', ['x'], (dy, [x]) => ({ x: () => tf.mul(dy, tf.mul(x!, 2)) }));

register('Identity', ['x'], (dy) => ({ x: () => dy }));

register('Reshape', ['x'], (dy, [x]) => ({ x: () => tf.reshape(dy, x!.shape) }));

register('Transpose', ['x'], (dy, _, { perm }) => ({
  x: () => tf.transpose(dy, tf.backend_util.getUndoAxesPermutation(perm as number[])),
}));

register('Sum', ['x'], (dy, [x], { axis }) => ({
  x: () => {
    const axes = tf.util.parseAxisParam(axis as number[], x!.shape);
    const kept = x!.shape.map((size, i) => (axes.includes(i) ? 1 : size));
    return tf.mul(tf.reshape(dy, kept), tf.onesLike(x!));
  },
}));

tf.registerGradient({
  kernelName: 'Pack',
  saveAllInputs: true,
  gradFunc: (dy, _, { axis }) =>
    Object.fromEntries(tf.unstack(dy as tf.Tensor, axis as number).map((part, i) => [i, () => part])),
});

tf.registerGradient({
  kernelName: 'Unpack',
  gradFunc: (dy, _, { axis }) => ({ value: () => tf.stack(dy as tf.Tensor[], axis as number) }),
});
