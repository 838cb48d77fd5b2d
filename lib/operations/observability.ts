import type { IJobQueue } from 'aws-cdk-lib/aws-batch';
import {
  Alarm,
  ComparisonOperator,
  Dashboard,
  GraphWidget,
  type IMetric,
  SingleValueWidget,
  TextWidget,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { EventField, Rule, RuleTargetInput } from 'aws-cdk-lib/aws-events';
import { SnsTopic } from 'aws-cdk-lib/aws-events-targets';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Duration, Stack } from 'aws-cdk-lib/core';
import { Construct } from 'constructs';
import type { FunctionName } from '../compute/function-code.ts';
import type { PipelineFunction } from '../compute/pipeline-function.ts';
import type { Alerts } from './alerts.ts';

export interface ObservabilityProps {
  machine: StateMachine;
  functions: Record<FunctionName, PipelineFunction>;
  queues: IJobQueue[];
  alerts: Alerts;
}

const period = Duration.minutes(5);
const SUM = { period, statistic: 'Sum' };
const MAXIMUM = { period, statistic: 'Maximum' };

/** When to raise an alarm, and what to do about it. */
interface Threshold {
  id: string;
  metric: IMetric;
  /** At or above, in one period. */
  threshold: number;
  remedy: string;
}

/** An event of the queues' jobs that is worth a notice. */
interface BatchEvent {
  description: string;
  detailType: string;
  detail?: Record<string, string[]>;
}

/** Dashboard, alarms and the notices of failed jobs. */
export class Observability extends Construct {
  readonly dashboardName: string;
  private readonly props: ObservabilityProps;

  constructor(scope: Construct, id: string, props: ObservabilityProps) {
    super(scope, id);
    this.props = props;
    this.alarms();
    this.tell('JobFailed', 'failed', {
      description: 'A job failed for good, after all its attempts',
      detailType: 'Batch Job State Change',
      detail: { status: ['FAILED'] },
    });
    this.tell('QueueBlocked', 'waits and cannot start', {
      description: 'Nothing can run the job at the head of a queue',
      detailType: 'Batch Job Queue Blocked',
    });
    this.dashboardName = this.dashboard().dashboardName;
  }

  private alarms(): void {
    const { machine, functions, alerts } = this.props;
    const thresholds: Threshold[] = [
      {
        id: 'RunFailed',
        metric: machine.metricFailed(SUM),
        threshold: 1,
        remedy: 'Open the execution: its error and cause name what to do. Starting the same run again resumes it.',
      },
      {
        id: 'RunTimedOut',
        metric: machine.metricTimedOut(SUM),
        threshold: 1,
        remedy:
          'The run took longer than runTimeoutDays, and its jobs may still be running: end them with mates stop. Starting the same run again resumes it.',
      },
      {
        id: 'MachineThrottled',
        metric: machine.metricThrottled(SUM),
        threshold: 100,
        remedy: 'State transitions are throttled: lower mapConcurrency or ask for a higher quota.',
      },
      ...Object.entries(functions).map(([name, handler]) => ({
        id: `${pascal(name)}Throttled`,
        metric: handler.metricThrottles(SUM),
        threshold: 1,
        remedy: `The account's Lambda concurrency is used up; ${name} is retried for some minutes.`,
      })),
    ];
    for (const { id, metric, threshold, remedy } of thresholds)
      new Alarm(this, id, {
        metric,
        threshold,
        evaluationPeriods: 1,
        comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        treatMissingData: TreatMissingData.NOT_BREACHING,
        alarmDescription: remedy,
      }).addAlarmAction(new SnsAction(alerts));
  }

  /** Sends a notice of an event that Batch reports about a job in the queues. */
  private tell(id: string, words: string, { description, detailType, detail = {} }: BatchEvent): void {
    const { queues, alerts } = this.props;
    const [name, job, reason] = ['jobName', 'jobId', 'statusReason'].map((of) => EventField.fromPath(`$.detail.${of}`));
    new Rule(this, id, {
      description,
      eventPattern: {
        source: ['aws.batch'],
        detailType: [detailType],
        detail: { ...detail, jobQueue: queues.map((queue) => queue.jobQueueArn) },
      },
      targets: [
        // With a role: the statement that the library would otherwise add to the topic's policy lets any account's
        // rules publish.
        new SnsTopic(alerts, {
          message: RuleTargetInput.fromText(`Job ${name} (${job}) ${words}: ${reason}`),
          authorizeUsingRole: true,
        }),
      ],
    });
  }

  private dashboard(): Dashboard {
    const { machine, functions } = this.props;
    const lambdas = Object.values(functions);
    return new Dashboard(this, 'Dashboard', {
      defaultInterval: Duration.days(7),
      widgets: [
        [
          new TextWidget({
            markdown: `# ${Stack.of(this).stackName}: model-aware data selection`,
            width: 24,
            height: 1,
          }),
        ],
        [
          new SingleValueWidget({
            title: 'Runs',
            metrics: [
              machine.metricStarted(SUM),
              machine.metricSucceeded(SUM),
              machine.metricFailed(SUM),
              machine.metricTimedOut(SUM),
              machine.metricAborted(SUM),
            ],
            setPeriodToTimeRange: true,
            width: 12,
          }),
          new GraphWidget({ title: 'Run duration', left: [machine.metricTime(MAXIMUM)], width: 12 }),
        ],
        [
          new GraphWidget({
            title: 'Function duration',
            left: lambdas.map((handler) => handler.metricDuration(MAXIMUM)),
            width: 12,
          }),
          new GraphWidget({
            title: 'Function errors (a refused configuration counts as one)',
            left: lambdas.map((handler) => handler.metricErrors(SUM)),
            width: 12,
          }),
        ],
      ],
    });
  }
}

const pascal = (name: string) => name.replace(/(^|-)(\w)/g, (_, __, letter: string) => letter.toUpperCase());
