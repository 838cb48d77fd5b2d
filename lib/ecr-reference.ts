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
 * Whether an image is, or may be, in the region's ECR. A bare name, without an owner or a registry, is assumed to be
 * there already, as it is when the service is emulated.
 *
 * @param region region of the stacks; undefined if they are not tied to one.
 */
export function maybeInEcr(image: string, region?: string): boolean {
  const ecr = parseEcr(image);
  return ecr ? region === undefined || ecr.region === region : !image.includes('/');
}
