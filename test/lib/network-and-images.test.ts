import { Annotations, Match } from 'aws-cdk-lib/assertions';
import { App } from 'aws-cdk-lib/core';
import { describe, expect, it } from 'vitest';
import { buildApp } from '../../lib/build-app.ts';
import { projectContext } from '../../lib/synthesize.ts';
import { covers } from '../policies/evaluate.ts';
import {
  DIFFERENT,
  ECR_IMAGE,
  grantsOn,
  list,
  resources,
  type Statement,
  statements,
  synthesize,
} from './templates.ts';

const { template } = synthesize();
const other = synthesize(DIFFERENT);
const fixed = {
  account: '123456789012',
  region: 'us-east-1',
  'availability-zones:account=123456789012:region=us-east-1': [...'abcdef'].map((zone) => `us-east-1${zone}`),
};
const IN_EUROPE = ECR_IMAGE.replace('us-east-1', 'eu-west-1');

describe('network', () => {
  const endpoints = (from: typeof template) =>
    resources(from, 'AWS::EC2::VPCEndpoint').map(({ ServiceName, VpcEndpointType }) => [
      VpcEndpointType,
      JSON.stringify(ServiceName),
    ]);

  it('always has the S3 gateway, and one NAT gateway by default', () => {
    expect(endpoints(template)).toEqual([['Gateway', expect.stringContaining('.s3')]]);
    expect(resources(template, 'AWS::EC2::NatGateway')).toHaveLength(1);
  });

  it('can have endpoints instead of a way out', () => {
    expect(resources(other.template, 'AWS::EC2::NatGateway')).toEqual([]);
    expect(resources(other.template, 'AWS::EC2::InternetGateway')).toEqual([]);
    const found = endpoints(other.template).map(([, service]) => service);
    for (const service of ['.s3', '.ecs', '.ecs-agent', '.ecs-telemetry', '.ecr.api', '.ecr.dkr', '.logs'])
      expect(
        found.filter((name) => name!.includes(`${service}"`)),
        service,
      ).toHaveLength(1);
  });

  it('without a way out writes to no bucket but the lake, and reads any', () => {
    const policyOf = (from: typeof template) =>
      resources(from, 'AWS::EC2::VPCEndpoint').find(({ VpcEndpointType }) => VpcEndpointType === 'Gateway')
        .PolicyDocument;
    expect(policyOf(template)).toBeUndefined(); // a NAT gateway leads to the buckets of other regions
    const LAKE = 'arn:aws:s3:::lake';
    const policy: { Statement: (Statement & { Principal: string })[] } = policyOf(other.template);
    const grants = policy.Statement.flatMap(({ Principal, ...statement }) => {
      expect(Principal).toBe('*');
      return grantsOn(LAKE, statement);
    });
    const allowed = (action: string, resource: string) => grants.some((grant) => covers(grant, { action, resource }));
    for (const action of ['GetObject', 'PutObject', 'PutObjectTagging', 'AbortMultipartUpload', 'DeleteObject'])
      expect(allowed(`s3:${action}`, `${LAKE}/runs/a/run.json`), action).toBe(true);
    expect(allowed('s3:ListBucket', LAKE)).toBe(true);
    const others = ['prod-us-east-1-starport-layer-bucket', 'al2023-repos-us-east-1', 'my-corpora', 'lake2'];
    for (const other of others.map((name) => `arn:aws:s3:::${name}`)) {
      expect(allowed('s3:GetObject', `${other}/x`), other).toBe(true);
      expect(allowed('s3:ListBucket', other), other).toBe(true);
      for (const action of ['PutObject', 'PutObjectAcl', 'PutObjectTagging', 'DeleteObject', 'AbortMultipartUpload'])
        expect(allowed(`s3:${action}`, `${other}/x`), `${action} ${other}`).toBe(false);
      for (const action of ['CreateBucket', 'PutBucketPolicy', 'PutReplicationConfiguration'])
        expect(allowed(`s3:${action}`, other), `${action} ${other}`).toBe(false);
    }
  });

  const networks = [
    template,
    other.template,
    ...['nat', 'endpoints'].map((network) => synthesize({ ...fixed, network, image: ECR_IMAGE }).template),
  ];

  it('is in every zone of a fixed region, up to six, and where zones cost something up to three', () => {
    const zones = networks.map((from) => {
      const subnets = resources(from, 'AWS::EC2::Subnet');
      return new Set(subnets.map(({ AvailabilityZone }) => JSON.stringify(AvailabilityZone))).size;
    });
    expect(zones).toEqual([2, 2, 6, 3]);
  });

  it('can become any other: a new subnet is made before an old one is deleted, and must not overlap it', () => {
    const named = new Map<string, string>();
    for (const { Resources } of networks)
      for (const [id, { Type, Properties }] of Object.entries(Resources)) {
        if (Type !== 'AWS::EC2::Subnet') continue;
        const { CidrBlock } = Properties as { CidrBlock: string };
        expect(named.get(id) ?? CidrBlock, id).toBe(CidrBlock);
        named.set(id, CidrBlock);
      }
    const ranges = [...named.values()].map((cidr) => {
      const [address, bits] = cidr.split('/');
      const begin = address!.split('.').reduce((sum, part) => 256 * sum + Number(part), 0);
      return { begin, end: begin + 2 ** (32 - Number(bits)) };
    });
    ranges.sort((a, b) => a.begin - b.begin);
    for (const [i, { begin }] of ranges.slice(1).entries()) expect(begin).toBeGreaterThanOrEqual(ranges[i]!.end);
    expect(ranges).toHaveLength(6 + 6);
  });

  it('adds nothing to a VPC that is there, and says what it should have', () => {
    const app = new App({
      builtinCloudFormationValidation: false, // the stand-in for what is looked up has made-up ids
      context: { ...projectContext(), image: 'mates:local', 'aws:cdk:bundling-stacks': [], vpcId: 'vpc-123' },
      postCliContext: { account: '123456789012', region: 'us-east-1' },
    });
    const { pipeline } = buildApp(app);
    const [warning, ...more] = Annotations.fromStack(pipeline).findWarning('*', Match.stringLikeRegexp('vpc-123'));
    expect(more).toEqual([]);
    expect(warning!.entry.data).toMatch(/gateway endpoint for S3/);
    expect(endpoints(app.synth().getStackArtifact(pipeline.artifactId).template)).toEqual([]);
  });

  it('gives no instance a public address', () => {
    for (const { MapPublicIpOnLaunch } of resources(template, 'AWS::EC2::Subnet'))
      expect(MapPublicIpOnLaunch).toBe(false);
  });
});

describe('the image', () => {
  it('may be in a private ECR repository, which jobs may then pull from', () => {
    const granted = statements(other.template).filter(({ statement }) =>
      list(statement.Action).includes('ecr:BatchGetImage'),
    );
    expect(granted).toHaveLength(2); // ECS for Batch, and SageMaker
    for (const { statement } of granted) expect(JSON.stringify(statement.Resource)).toContain('repository/team/mates');
    const inner = other.definition.States['Pretrain every arm']!.ItemProcessor!.States['Pretrain on SageMaker']!;
    expect(inner.Parameters.AlgorithmSpecification.TrainingImage).toBe(ECR_IMAGE);
  });
});

describe("a trainer of one's own", () => {
  const image = ECR_IMAGE.replace('mates', 'trainer');
  const own = synthesize({ trainerImage: image, trainerCommand: 'python, train.py' });
  const containers = resources(own.template, 'AWS::Batch::JobDefinition').map((job) => job.ContainerProperties);

  it('replaces the pretraining job, and that alone', () => {
    const trainers = containers.filter(({ Command }) => Command[0] === 'python');
    expect(trainers).toHaveLength(1);
    expect(trainers[0].Command).toEqual(['python', 'train.py']);
    expect(JSON.stringify(trainers[0].Image)).toContain('team/trainer:1.0');
    expect(containers.filter(({ Image }) => Image === 'mates:local')).toHaveLength(containers.length - 1);
  });

  it.each([
    [{}, undefined],
    [{ trainerImage: image, trainerCommand: 'python, train.py' }, `${image} python train.py`],
    [{ trainerCommand: ['my trainer'] }, 'my trainer'],
  ])('%j: the first function records it in the run', (settings, trainer) => {
    const { template } = synthesize(settings);
    const { Environment } = resources(template, 'AWS::Lambda::Function').find(({ Environment }) =>
      JSON.stringify(Environment).includes('MATES_DEPLOYMENT'),
    )!;
    expect(Environment.Variables.MATES_TRAINER).toBe(trainer);
  });

  it('is what SageMaker runs, and may pull', () => {
    const inner = own.definition.States['Pretrain every arm']!.ItemProcessor!.States['Pretrain on SageMaker']!;
    expect(inner.Parameters.AlgorithmSpecification).toMatchObject({
      TrainingImage: image,
      ContainerEntrypoint: ['python', 'train.py'],
    });
    const pulling = statements(own.template).filter(({ statement }) =>
      list(statement.Action).includes('ecr:BatchGetImage'),
    );
    expect(pulling).toHaveLength(2); // ECS for Batch, and SageMaker
    for (const { statement } of pulling)
      expect(JSON.stringify(statement.Resource)).toContain('repository/team/trainer');
  });

  it.each([
    [{ trainerImage: 'mates:local' }, undefined],
    [{ trainerImage: 'ghcr.io/team/trainer:1' }, 'ghcr.io/team/trainer:1'],
    [{ trainerImage: 'team/trainer' }, 'team/trainer'],
    [{ trainerImage: ECR_IMAGE }, undefined],
    [{ ...fixed, trainerImage: ECR_IMAGE }, undefined],
    [{ ...fixed, trainerImage: IN_EUROPE }, IN_EUROPE],
  ])('%j: the first function knows whether SageMaker can run it', (settings, elsewhere) => {
    const { template } = synthesize(settings);
    const { Environment } = resources(template, 'AWS::Lambda::Function').find(({ Environment }) =>
      JSON.stringify(Environment).includes('MATES_DEPLOYMENT'),
    )!;
    expect(Environment.Variables.MATES_NOT_IN_ECR).toBe(elsewhere);
  });
});
