import packageJson from '../../package.json' with { type: 'json' };

/** Versions of what could change a number: this package, the engine's libraries and Node. */
export function softwareVersions(): Record<string, string> {
  const dependencies: Record<string, string> = packageJson.dependencies;
  return {
    mates: packageJson.version,
    node: process.versions.node,
    'onnxruntime-node': dependencies['onnxruntime-node'] ?? 'none',
    '@tensorflow/tfjs-core': dependencies['@tensorflow/tfjs-core'] ?? 'none',
  };
}
