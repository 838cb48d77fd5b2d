import {
  FlowLogDestination,
  FlowLogTrafficType,
  type GatewayVpcEndpoint,
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpointAwsService,
  IpAddresses,
  type IVpc,
  Peer,
  Port,
  SecurityGroup,
  type SubnetSelection,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import { PolicyStatement, StarPrincipal } from 'aws-cdk-lib/aws-iam';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { Annotations } from 'aws-cdk-lib/core';
import { Construct } from 'constructs';
import { acknowledge } from '../operations/acknowledge.ts';
import { logGroup } from '../operations/logs.ts';
import type { Settings } from '../settings.ts';

/** What ECS instances need in subnets without a way out; S3 has its gateway endpoint. */
const INTERFACE_ENDPOINTS = {
  Ecs: InterfaceVpcEndpointAwsService.ECS,
  EcsAgent: InterfaceVpcEndpointAwsService.ECS_AGENT,
  EcsTelemetry: InterfaceVpcEndpointAwsService.ECS_TELEMETRY,
  EcrApi: InterfaceVpcEndpointAwsService.ECR,
  EcrDocker: InterfaceVpcEndpointAwsService.ECR_DOCKER,
  Logs: InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
};

/** The network of the jobs: the given VPC, or private subnets only, with the way out that `settings.network` says. */
export class Network extends Construct {
  readonly vpc: IVpc;
  readonly subnets: SubnetSelection;

  constructor(scope: Construct, id: string, { settings, lake }: { settings: Settings; lake: IBucket }) {
    super(scope, id);
    if (settings.vpcId) {
      Annotations.of(this).addWarningV2(
        'mates:s3-of-vpc',
        `Traffic with S3 takes the route that ${settings.vpcId} has for it: give it a gateway endpoint for S3, which is free, or you pay its NAT gateway for every checkpoint and shard.`,
      );
      this.vpc = Vpc.fromLookup(this, 'Vpc', { vpcId: settings.vpcId });
      this.subnets = { subnetType: SubnetType.PRIVATE_WITH_EGRESS };
      return;
    }
    const isolated = settings.network === 'endpoints';
    const subnetType = isolated ? SubnetType.PRIVATE_ISOLATED : SubnetType.PRIVATE_WITH_EGRESS;
    const vpc = new Vpc(this, 'Vpc', {
      ipAddresses: IpAddresses.cidr('10.0.0.0/16'),
      // Spot GPU capacity is per zone: the more zones the better, and subnets are free. Without a fixed region there
      // are two zones. Interface endpoints cost money in each zone.
      maxAzs: isolated ? 3 : 6,
      natGateways: isolated ? 0 : 1,
      // The public subnets come first, and their range is reserved even if there are none. So when the stack is
      // deployed again with another network or number of zones, no new subnet overlaps an old one, which is deleted
      // only afterwards.
      subnetConfiguration: [
        {
          name: 'public',
          subnetType: SubnetType.PUBLIC,
          cidrMask: 24,
          mapPublicIpOnLaunch: false,
          reserved: isolated,
        },
        { name: 'jobs', subnetType, cidrMask: 20 },
      ],
      restrictDefaultSecurityGroup: false,
    });
    // Rejected traffic shows both a wrong endpoint and an intruder, at a fraction of the price of logging everything.
    vpc.addFlowLog('Rejected', {
      destination: FlowLogDestination.toCloudWatchLogs(logGroup(this, 'FlowLogs', settings)),
      trafficType: FlowLogTrafficType.REJECT,
    });
    const s3 = vpc.addGatewayEndpoint('S3', { service: GatewayVpcEndpointAwsService.S3 });
    if (isolated) {
      allowOnlyReadsBeside(lake, s3);
      addEndpoints(vpc);
    }
    this.vpc = vpc;
    this.subnets = { subnetType };
  }
}

/**
 * Lets the endpoint write to no bucket but the lake, whatever credentials a job has. It must read any bucket: the layers
 * of images are in ECR's, Amazon Linux's packages in Amazon's, which are asked without credentials, and inputs in those
 * of the users. With a NAT gateway this would keep nothing in, as buckets of other regions are reached through that.
 */
function allowOnlyReadsBeside(lake: IBucket, s3: GatewayVpcEndpoint): void {
  const principals = [new StarPrincipal()]; // a gateway endpoint takes no other
  // In the lake the roles' own policies say what each may do.
  s3.addToPolicy(
    new PolicyStatement({ principals, actions: ['s3:*'], resources: [lake.bucketArn, lake.arnForObjects('*')] }),
  );
  s3.addToPolicy(
    new PolicyStatement({
      principals,
      actions: ['s3:GetObject*', 's3:ListBucket', 's3:GetBucketLocation'],
      resources: ['*'],
    }),
  );
}

/** Adds the interface endpoints, behind one security group that can only be reached from the VPC. */
function addEndpoints(vpc: Vpc): void {
  const group = new SecurityGroup(vpc, 'Endpoints', {
    vpc,
    allowAllOutbound: false,
    description: 'Interface endpoints',
  });
  group.addIngressRule(Peer.ipv4(vpc.vpcCidrBlock), Port.tcp(443), 'HTTPS from the VPC');
  acknowledge(group, { 'AwsSolutions-EC23': "The range is the VPC's own, which the rule cannot see in a reference." });
  for (const [name, service] of Object.entries(INTERFACE_ENDPOINTS))
    vpc.addInterfaceEndpoint(name, { service, open: false, securityGroups: [group] });
}
