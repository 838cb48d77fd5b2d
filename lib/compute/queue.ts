import { readFileSync } from 'node:fs';
import {
  AllocationStrategy,
  type CfnComputeEnvironment,
  EcsMachineImageType,
  JobQueue,
  JobStateTimeLimitActionsAction,
  JobStateTimeLimitActionsReason,
  JobStateTimeLimitActionsState,
  ManagedEc2EcsComputeEnvironment,
} from 'aws-cdk-lib/aws-batch';
import {
  BlockDeviceVolume,
  EbsDeviceVolumeType,
  type InstanceClass,
  InstanceType,
  LaunchTemplate,
  LaunchTemplateHttpTokens,
  MultipartBody,
  MultipartUserData,
  UserData,
} from 'aws-cdk-lib/aws-ec2';
import { Duration, Tags } from 'aws-cdk-lib/core';
import { Construct } from 'constructs';
import { acknowledge } from '../operations/acknowledge.ts';
import type { Settings } from '../settings.ts';
import type { Network } from './network.ts';

/** Where an instance keeps what jobs write to /tmp: on its NVMe disks if it has any, otherwise on its root volume. */
export const SCRATCH = '/scratch';

/** The longest that the service lets jobs continue during an update: 7,200 minutes. */
const MAX_UPDATE_HOURS = 120;

export interface QueueProps {
  network: Network;
  settings: Settings;
  gpu: boolean;
}

/** A job queue over a spot environment and an on-demand one; both scale down to nothing. */
export class Queue extends Construct {
  readonly jobQueue: JobQueue;

  constructor(scope: Construct, id: string, { network, settings, gpu }: QueueProps) {
    super(scope, id);
    const launchTemplate = this.launchTemplate(settings.rootVolumeGib);
    const environment = (name: string, spot: boolean) => {
      const created = new ManagedEc2EcsComputeEnvironment(this, name, {
        vpc: network.vpc,
        vpcSubnets: network.subnets,
        spot,
        allocationStrategy: spot
          ? AllocationStrategy.SPOT_PRICE_CAPACITY_OPTIMIZED
          : AllocationStrategy.BEST_FIT_PROGRESSIVE,
        minvCpus: 0,
        maxvCpus: gpu ? settings.maxGpuVcpus : settings.maxCpuVcpus,
        ...instanceChoice(gpu ? settings.gpuInstances : settings.cpuInstances),
        useOptimalInstanceClasses: false, // otherwise Batch adds families without a GPU
        images: [{ imageType: gpu ? EcsMachineImageType.ECS_AL2023_NVIDIA : EcsMachineImageType.ECS_AL2023 }],
        launchTemplate,
        // A changed template or setting replaces instances as their jobs end, never under a running one, and only then
        // does Batch look for a newer AMI (Batch User Guide, "Infrastructure updates").
        updateToLatestImageVersion: true,
        terminateOnUpdate: false,
        updateTimeout: Duration.hours(Math.min(settings.jobTimeoutHours, MAX_UPDATE_HOURS)),
      });
      acknowledge(created, {
        'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role]':
          'AWS keeps this policy in step with what releases of the ECS agent need; jobs have a role of their own.',
      });
      // Batch uses a new version of a template only if the environment names the version.
      (created.node.defaultChild as CfnComputeEnvironment).addPropertyOverride(
        'ComputeResources.LaunchTemplate.Version',
        launchTemplate.latestVersionNumber,
      );
      return created;
    };
    const environments = settings.spot
      ? [environment('Spot', true), environment('OnDemand', false)]
      : [environment('OnDemand', false)];
    this.jobQueue = new JobQueue(this, 'Queue', {
      computeEnvironments: environments.map((computeEnvironment, i) => ({ computeEnvironment, order: i + 1 })),
      // Otherwise a job that nothing can run stays RUNNABLE for ever, and so the execution waits for ever.
      jobStateTimeLimitActions: Object.values(JobStateTimeLimitActionsReason).map((reason) => ({
        action: JobStateTimeLimitActionsAction.CANCEL,
        state: JobStateTimeLimitActionsState.RUNNABLE,
        reason,
        maxTime:
          reason === JobStateTimeLimitActionsReason.INSUFFICIENT_INSTANCE_CAPACITY
            ? Duration.hours(settings.capacityTimeoutHours)
            : Duration.minutes(10),
      })),
    });
  }

  private launchTemplate(rootVolumeGib: number): LaunchTemplate {
    const template = new LaunchTemplate(this, 'LaunchTemplate', {
      requireImdsv2: true,
      httpTokens: LaunchTemplateHttpTokens.REQUIRED,
      httpPutResponseHopLimit: 1,
      userData: userData(),
      blockDevices: [
        {
          deviceName: '/dev/xvda',
          volume: BlockDeviceVolume.ebs(rootVolumeGib, {
            volumeType: EbsDeviceVolumeType.GP3,
            encrypted: true,
            deleteOnTermination: true,
          }),
        },
      ],
    });
    Tags.of(template).add('Name', 'mates-job');
    return template;
  }
}

/** Splits `g5` (a family: Batch chooses the size) from `g5.xlarge` (a type). */
function instanceChoice(names: string[]) {
  return {
    instanceTypes: names.filter((name) => name.includes('.')).map((name) => new InstanceType(name)),
    // The values of the enumeration are the names of families, but it lags behind new families.
    instanceClasses: names.filter((name) => !name.includes('.')) as InstanceClass[],
  };
}

/** Mounts the instance's own disks. */
const MOUNT_SCRATCH = readFileSync(new URL('scratch.sh', import.meta.url), 'utf8');
/** Tells jobs about EC2's notice. */
const SPOT_NOTICE = readFileSync(new URL('spot-notice.sh', import.meta.url), 'utf8');

/**
 * Mounts the instance's NVMe disks; keeps processes that are not root, such as our image's, from the instance's own
 * credentials; and tells jobs when a spot instance is about to be taken away, while the draining agent takes no new
 * ones. A job that is told to stop has 110 seconds instead of 30 to save its checkpoint. Batch requires MIME multipart.
 */
function userData(): MultipartUserData {
  const script = UserData.forLinux();
  script.addCommands(
    `cat > /usr/local/bin/mates-scratch <<'END'\n${MOUNT_SCRATCH}END`,
    `sh /usr/local/bin/mates-scratch ${SCRATCH}`,
    // Batch's containers share the host's network, so a hop limit does not keep them out.
    'iptables -I OUTPUT -d 169.254.169.254 -m owner ! --uid-owner 0 -j REJECT',
    `cat > /usr/local/bin/mates-spot-notice <<'END'\n${SPOT_NOTICE}END`,
    'chmod +x /usr/local/bin/mates-spot-notice',
    'systemd-run --unit=mates-spot-notice /usr/local/bin/mates-spot-notice',
    "printf 'ECS_ENABLE_SPOT_INSTANCE_DRAINING=true\\nECS_CONTAINER_STOP_TIMEOUT=110s\\n' >> /etc/ecs/ecs.config",
  );
  const multipart = new MultipartUserData();
  multipart.addPart(MultipartBody.fromUserData(script));
  return multipart;
}
