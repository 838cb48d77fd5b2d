import { type IRepository, Repository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { ContainerImage } from 'aws-cdk-lib/aws-ecs';
import type { IRole } from 'aws-cdk-lib/aws-iam';
import { Stack, Token } from 'aws-cdk-lib/core';
import type { Construct } from 'constructs';
import { maybeInEcr, parseEcr } from '../ecr-reference.ts';
import { PROJECT_ROOT } from '../project.ts';
import type { Settings } from '../settings.ts';

/** An image that jobs run: `mates-job <task>`, or a trainer of the user's own. */
export interface JobImage {
  /** Reference with registry and tag or digest. */
  readonly uri: string;
  readonly container: ContainerImage;
  /** Whether SageMaker can run it: it only takes images from private ECR repositories in its own region. */
  readonly forSageMaker: boolean;
  /** Lets a role pull the image itself, as on SageMaker; for Batch, the container grants this to the execution role. */
  grantPull(role: IRole): void;
}

/** The image that the settings name, or one that is built from the Dockerfile at deployment. */
export function jobImage(scope: Construct, settings: Settings): JobImage {
  if (!settings.image) {
    const asset = new DockerImageAsset(scope, 'Image', {
      // Without what .dockerignore names, so that the asset's hash, and the image, depend only on what the Dockerfiles
      // copy.
      directory: PROJECT_ROOT,
      file: settings.dockerfile ?? `containers/${settings.accelerator === 'gpu' ? 'gpu/' : ''}Dockerfile`,
      platform: Platform.LINUX_AMD64,
    });
    return fromRepository(asset.repository, asset.imageUri, ContainerImage.fromDockerImageAsset(asset));
  }
  return referencedImage(scope, 'ImageRepository', settings.image);
}

/** An image by its reference. `id` is for the construct of its private ECR repository, if it is in one. */
export function referencedImage(scope: Construct, id: string, reference: string): JobImage {
  const ecr = parseEcr(reference);
  if (!ecr)
    return {
      uri: reference,
      container: ContainerImage.fromRegistry(reference),
      forSageMaker: maybeInEcr(reference),
      grantPull: () => undefined,
    };
  const repository = Repository.fromRepositoryAttributes(scope, id, {
    repositoryName: ecr.name,
    repositoryArn: Stack.of(scope).formatArn({
      service: 'ecr',
      account: ecr.account,
      region: ecr.region,
      resource: 'repository',
      resourceName: ecr.name,
    }),
  });
  const { region } = Stack.of(scope);
  const near = maybeInEcr(reference, Token.isUnresolved(region) ? undefined : region);
  return fromRepository(repository, reference, ContainerImage.fromEcrRepository(repository, ecr.reference), near);
}

function fromRepository(
  repository: IRepository,
  uri: string,
  container: ContainerImage,
  forSageMaker = true, // images that are built are pushed to the stack's own region
): JobImage {
  return { uri, container, forSageMaker, grantPull: (role) => repository.grantPull(role) };
}
