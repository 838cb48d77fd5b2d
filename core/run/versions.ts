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

/** One of {@link softwareVersions} that a run was begun with, and what it is now. */
export interface ChangedVersion {
  name: string;
  begun: string;
  now: string;
}

/**
 * Versions of what results depend on that differ from those of a run's record; they do not depend on the version of Node.
 */
export function changedVersions(record: Record<string, string>, now = softwareVersions()): ChangedVersion[] {
  return Object.keys(now)
    .filter((name) => name !== 'node' && name !== 'trainer')
    .flatMap((name) => {
      const begun = record[name];
      return begun === undefined || begun === now[name] ? [] : [{ name, begun, now: now[name]! }];
    });
}
