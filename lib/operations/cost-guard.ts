import { CfnBudget } from 'aws-cdk-lib/aws-budgets';
import { CfnOutput } from 'aws-cdk-lib/core';
import { Construct } from 'constructs';
import type { Alerts } from './alerts.ts';

/** The tag that every resource of the app carries, by which the budget knows their cost. */
export const COST_TAG = { key: 'mates:app', value: 'mates' };

export interface CostGuardProps {
  monthlyUsd: number;
  alerts: Alerts;
}

/**
 * A monthly budget of the app's resources: a notice at 80 % spent and when the forecast passes it. It tells and does
 * not stop. What stops is `maxCostUsd` of a run, before a stage, and at any time the most vCPUs of each environment: there
 * are two for GPUs and two for CPUs, spot and on-demand, each of which Batch may take one instance further, and
 * SageMaker's training jobs are apart.
 *
 * AWS fills the tag that the budget filters by from the day that it is activated on; CloudFormation cannot do that, so
 * that the stack's output says it.
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
        'The budget stays at 0 until this tag is activated: Billing and Cost Management, Cost allocation tags; it is ' +
        'listed there a day after the first resource has it.',
    }).overrideLogicalId('BudgetTag');
  }
}
