/** Parts of `<account>.dkr.ecr.<region>.amazonaws.com/<name>[:tag][@digest]`; undefined for other registries. */
export function parseEcr(image: string) {
  const match =
    /^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?\/([^:@]+)(?::([^:@]+))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(
      image,
    );
  if (!match) return undefined;
  const [, account, region, name, tag, digest] = match;
  return { account: account!, region: region!, name: name!, reference: digest ?? tag ?? 'latest' };
}

/**
 * Whether an image is in ECR, or may be: a bare name, without an owner or a registry, is taken for one that is there already,
 * as where a service is emulated.
 */
export const maybeInEcr = (image: string): boolean => parseEcr(image) !== undefined || !image.includes('/');
