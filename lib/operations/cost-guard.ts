import { CfnBudget } from 'aws-cdk-lib/aws-budgets';
import { CfnOutput } from 'aws-cdk-lib/core';
import { Construct } from 'constructs';
import type { Alerts } from './alerts.ts';

/** The tag on every resource of the app, by which the budget finds their cost. */
export const COST_TAG = { key: 'mates:app', value: 'mates' };

export interface CostGuardProps {
  monthlyUsd: number;
  alerts: Alerts;
}

/**
 * A monthly budget for the app's resources, with a notice at 80 % spent and when the forecast exceeds it. It gives
 * notice but stops nothing. The limits are a run's `maxCostUsd` or the deployment's `maxRunCostUsd`, before each stage,
 * and at any time the most vCPUs of each environment. There are two environments for GPUs and two for CPUs, spot and
 * on-demand; Batch may exceed each by one instance, and SageMaker's training jobs are not included.
 *
 * AWS records the tag by which the budget filters only from the day of its activation. CloudFormation cannot activate
 * it, so an output of the stack says what to do.
 */
export class CostGuard extends Construct {
  constructor(scope: Construct, id: string, { monthlyUsd, alerts }: CostGuardProps) {
    super(scope, id);
    const notice = (notificationType: 'ACTUAL' | 'FORECASTED', threshold: number) => ({
      notification: { notificationType, comparisonOperator: 'GREATER_THAN', threshold, thresholdType: 'PERCENTAGE' },
      subscribers: [{ subscriptionType: 'SNS', address: alerts.topicArn }],
    });
    new CfnBudget(this, 'Budget', {
      budget: {
        budgetType: 'COST',
        timeUnit: 'MONTHLY',
        budgetLimit: { amount: monthlyUsd, unit: 'USD' },
        costFilters: { TagKeyValue: [`user:${COST_TAG.key}$${COST_TAG.value}`] },
      },
      notificationsWithSubscribers: [notice('ACTUAL', 80), notice('FORECASTED', 100)],
    });
    new CfnOutput(this, 'Tag', {
      value: COST_TAG.key,
      description:
        'The budget stays at 0 until this tag is activated (Billing and Cost Management, Cost allocation tags); it is ' +
        'listed there a day after the first resource has it.',
    }).overrideLogicalId('BudgetTag');
  }
}
